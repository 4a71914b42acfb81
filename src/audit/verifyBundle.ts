import { readdir } from 'node:fs/promises';
import { bundlePaths } from './bundle.js';
import { fileOf, PartitionBundle } from './partitionBundle.js';
import { Meter, type OnProgress } from './progress.js';
import type { CheckedPartition, Report } from './report.js';
import { scratch } from './scratch.js';
import { readHead, type SignedHead, witnessesOf } from './witness.js';
import { Contradiction } from './wrong.js';

/** What is checked, and against what. */
export interface BundleOptions {
  readonly dir: string;
  /** Checkpoints that were kept elsewhere. */
  readonly since: readonly string[];
  /** Verifier keys that were kept elsewhere; without them, the bundle's own are believed. */
  readonly keys?: readonly string[];
  readonly onProgress?: OnProgress;
}

/**
 * Checks a bundle with no database: signatures, every entry and tile up to the signed root, the versions of all streams,
 * and that each checkpoint kept elsewhere is extended by it. A file that is missing or altered is a wrong place.
 */
export async function verifyBundle(options: BundleOptions): Promise<Report> {
  const partitions: CheckedPartition[] = [];
  const { directory, remove } = scratch();
  try {
    const heads = await headsOf(options.dir);
    const keys = options.keys ?? lines(await fileOf(options.dir, bundlePaths.keys));
    const notes = heads.map(({ note }) => note);
    const { witnesses, wrong } = witnessesOf({ heads: notes, since: options.since, keys });
    if (wrong) throw new Contradiction(wrong);
    const meter = new Meter(
      'bundle',
      heads.reduce((sum, { size }) => sum + size, 0),
      options.onProgress,
    );
    for (const head of heads)
      partitions.push(await new PartitionBundle(options.dir, head, witnesses, meter).check(directory));
    const stray = witnesses.find(({ partition }) => !heads.some((head) => head.partition === partition));
    if (stray) {
      const { partition, source } = stray;
      const what = `the bundle has no partition ${partition}, of which there is ${source}`;
      throw new Contradiction({ what, partition });
    }
    return { partitions, models: [] };
  } catch (error) {
    if (!(error instanceof Contradiction)) throw error;
    return { partitions, models: [], wrong: error.wrong };
  } finally {
    remove();
  }
}

const lines = (bytes: Buffer): string[] =>
  bytes
    .toString()
    .split('\n')
    .filter((line) => line !== '');

/** The heads in the bundle, by partition. */
async function headsOf(dir: string): Promise<SignedHead[]> {
  const names = (await readdir(dir)).filter((name) => /^\d+$/.test(name));
  if (names.length === 0) throw new Contradiction({ what: `${dir} holds no partition: it is no bundle` });
  const partitions = names.map(Number).sort((a, b) => a - b);
  return Promise.all(
    partitions.map(async (partition) => {
      const head = readHead((await fileOf(dir, bundlePaths.checkpoint(partition))).toString());
      if (head.partition === partition) return head;
      const what = `the checkpoint in ${partition} is one of partition ${head.partition}`;
      throw new Contradiction({ what, partition });
    }),
  );
}
