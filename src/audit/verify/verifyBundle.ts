import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readEntryBundle, TILE_WIDTH, type Tile, TileTree, tileBytes } from '../../log/merkle.js';
import { decodeCommit } from '../../projections/commitBuffer.js';
import { Projector } from '../../projections/projector.js';
import { openSqliteRows } from '../../projections/store/sqliteRows.js';
import { type ParsedHead, readHead, readTrustedHeads } from '../proof/trustedHeads.js';
import { bundlePaths } from './bundle.js';
import { streamVersions } from './comparedModels.js';
import {
  type CheckedPartition,
  Meter,
  type Mismatch,
  MismatchError,
  type OnProgress,
  type Report,
} from './report.js';
import type { TrustedHead } from './verifyChain.js';
import { scratch } from './verifyState.js';

/** Reads a file of a bundle. Throws a `MismatchError` if it is missing. */
async function fileOf(dir: string, path: string): Promise<Buffer> {
  try {
    return await readFile(join(dir, path));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    throw new MismatchError({ what: `${path} is missing` });
  }
}

/** The files of one partition. */
class PartitionBundle {
  readonly #tree = new TileTree();
  #until = '';

  constructor(
    private readonly dir: string,
    private readonly head: ParsedHead,
    private readonly trustedHeads: readonly TrustedHead[],
    private readonly meter: Meter,
  ) {}

  async check(scratch: string): Promise<CheckedPartition> {
    const { partition, size } = this.head;
    const rows = openSqliteRows(join(scratch, `rows-${partition}.db`));
    try {
      const versions = await Projector.open(rows, [streamVersions(undefined)], partition + 1);
      for (let index = 0; index * TILE_WIDTH < size; index++) await this.#checkEntries(index, versions);
    } finally {
      await rows.close();
    }
    for (const tile of this.#tree.partialTiles()) await this.#checkTile(tile);
    this.#compareRoot();
    return { partition, events: size, until: this.#until, root: this.#tree.root() };
  }

  async #checkEntries(index: number, versions: Projector): Promise<void> {
    const { partition, size } = this.head;
    const firstOffset = index * TILE_WIDTH;
    const width = Math.min(TILE_WIDTH, size - firstOffset);
    const path = bundlePaths.tile(partition, 'entries', index, width);
    const bytes = await fileOf(this.dir, path);
    const place = { partition, offset: firstOffset };
    const leaves = parseFile(() => readEntryBundle(bytes), path, place);
    if (leaves.length !== width)
      throw new MismatchError({ ...place, what: `${path} holds ${leaves.length} entries, not ${width}` });
    for (const leaf of leaves) {
      const filled = this.#tree.add(leaf);
      for (const tile of filled) await this.#checkTile(tile);
      this.#compareRoot();
    }
    const commit = {
      partition,
      position: index + 1,
      firstOffset,
      size: firstOffset + width,
      recordedAt: '',
      leaves,
    };
    const { events, ...rest } = parseFile(() => decodeCommit(commit), path, place);
    for (const { recordedAt, offset } of events) {
      if (recordedAt < this.#until)
        throw new MismatchError({
          partition,
          offset,
          what: `event ${offset} of partition ${partition} has an earlier time than the event before it`,
        });
      this.#until = recordedAt;
    }
    await versions.fold([{ ...rest, events }]);
    await versions.write();
    this.meter.add(width);
  }

  async #checkTile(tile: Tile): Promise<void> {
    const { partition } = this.head;
    const path = bundlePaths.tile(partition, tile.level, tile.index, tile.hashes.length);
    if ((await fileOf(this.dir, path)).equals(tileBytes(tile))) return;
    throw new MismatchError({
      what: `${path} does not match the entries below it`,
      partition,
      offset: tile.index * TILE_WIDTH ** (tile.level + 1),
    });
  }

  /**
   * Compares the tree as it is now with each trusted head of its size. The bundle's own head is one of them.
   */
  #compareRoot(): void {
    const { partition } = this.head;
    const { size } = this.#tree;
    for (const trusted of this.trustedHeads) {
      if (trusted.partition !== partition) continue;
      if (size === this.head.size && trusted.size > size)
        throw new MismatchError({
          what: `the bundle has ${size} events of partition ${partition}, fewer than ${trusted.source}`,
          partition,
          offset: size,
        });
      if (trusted.size !== size || trusted.root === this.#tree.root()) continue;
      const what = `partition ${partition} does not match ${trusted.source}`;
      throw new MismatchError({ what, partition, offset: size - 1 });
    }
  }
}

/** Parses a file. Any error becomes a `MismatchError` about the file. */
function parseFile<T>(work: () => T, path: string, place: Omit<Mismatch, 'what'>): T {
  try {
    return work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MismatchError({ ...place, what: `${path} cannot be read: ${why}` });
  }
}

/** The bundle to check, and what to compare it with. */
export interface BundleOptions {
  readonly dir: string;
  /** Checkpoints that were kept elsewhere. */
  readonly since: readonly string[];
  /** Verifier keys that were kept elsewhere; by default the bundle's own are trusted. */
  readonly keys?: readonly string[];
  readonly onProgress?: OnProgress;
}

/**
 * Checks a bundle without a database. Checks signatures, every entry and tile up to the signed root, and the
 * versions of all streams. The bundle must extend each checkpoint that was kept elsewhere. A missing or
 * altered file is a mismatch.
 */
export async function verifyBundle(options: BundleOptions): Promise<Report> {
  const partitions: CheckedPartition[] = [];
  const { directory, remove } = scratch();
  try {
    const heads = await headsOf(options.dir);
    const keys = options.keys ?? lines(await fileOf(options.dir, bundlePaths.keys));
    const notes = heads.map(({ note }) => note);
    const { trustedHeads, mismatch } = readTrustedHeads({ heads: notes, since: options.since, keys });
    if (mismatch) throw new MismatchError(mismatch);
    const meter = new Meter(
      'bundle',
      heads.reduce((sum, { size }) => sum + size, 0),
      options.onProgress,
    );
    for (const head of heads)
      partitions.push(await new PartitionBundle(options.dir, head, trustedHeads, meter).check(directory));
    const stray = trustedHeads.find(({ partition }) => !heads.some((head) => head.partition === partition));
    if (stray) {
      const { partition, source } = stray;
      const what = `the bundle has no partition ${partition}, but there is ${source} for it`;
      throw new MismatchError({ what, partition });
    }
    return { partitions, models: [] };
  } catch (error) {
    if (!(error instanceof MismatchError)) throw error;
    return { partitions, models: [], mismatch: error.mismatch };
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
async function headsOf(dir: string): Promise<ParsedHead[]> {
  const names = (await readdir(dir)).filter((name) => /^\d+$/.test(name));
  if (names.length === 0) throw new MismatchError({ what: `${dir} is not a bundle: it has no partition` });
  const partitions = names.map(Number).sort((a, b) => a - b);
  return Promise.all(
    partitions.map(async (partition) => {
      const head = readHead((await fileOf(dir, bundlePaths.checkpoint(partition))).toString());
      if (head.partition === partition) return head;
      const what = `the checkpoint in directory ${partition} belongs to partition ${head.partition}`;
      throw new MismatchError({ what, partition });
    }),
  );
}
