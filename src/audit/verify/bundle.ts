import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.js';
import { COMMIT_LIMITS, checkCommit, emptyHead, type Head } from '../../log/commit.js';
import type { Commit } from '../../log/log.js';
import { readEntryBundle, TILE_WIDTH, type Tile, TileTree, tileBytes } from '../../log/merkle.js';
import { type DecodedCommit, decodeCommit } from '../../projections/commitBuffer.js';
import { Projector } from '../../projections/projector.js';
import { openSqliteRows } from '../../projections/store/sqliteRows.js';
import { streamVersions } from './comparedModels.js';
import { bundlePaths, commitLine } from './exportBundle.js';
import {
  type CheckedPartition,
  Meter,
  type Mismatch,
  MismatchError,
  type OnProgress,
  type Report,
  toMismatch,
} from './report.js';
import { type ParsedHead, readHead, readTrustedHeads } from './verify.js';
import { compareCommit, findMisdated, scratch, type TrustedHead } from './verifyState.js';

/** Commits whose events are folded together. */
const COMMITS_PER_FOLD = 64;

/** Reads a file of a bundle. Throws a `MismatchError` if it is missing. */
async function fileOf(dir: string, path: string): Promise<Buffer> {
  try {
    return await readFile(join(dir, path));
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new MismatchError({ what: `${path} is missing` });
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** The files of one partition. */
class PartitionBundle {
  readonly #tree = new TileTree();
  #head: Head;

  constructor(
    private readonly dir: string,
    private readonly head: ParsedHead,
    private readonly trustedHeads: readonly TrustedHead[],
    private readonly meter: Meter,
  ) {
    this.#head = emptyHead(head.partition);
  }

  async check(scratch: string, partitions: number | undefined): Promise<CheckedPartition> {
    const { partition, size, commit } = this.head;
    const rows = openSqliteRows(join(scratch, `rows-${partition}.db`));
    try {
      const versions = await Projector.open(rows, [streamVersions(partitions)], partition + 1);
      await this.#checkCommits(versions);
    } finally {
      await rows.close();
    }
    for (const tile of this.#tree.partialTiles()) await this.#checkTile(tile);
    const { position, size: events, recordedAt: until, hash } = this.#head;
    if (position !== commit.position || events !== size) {
      const what = `${bundlePaths.commits(partition)} ends at position ${position} with ${events} events, not at its signed head`;
      throw new MismatchError({ what, partition, position });
    }
    return { partition, events, until, root: this.#tree.root(), commits: position, hash };
  }

  async #checkCommits(versions: Projector): Promise<void> {
    const { partition } = this.head;
    const leaves = this.#leaves();
    let batch: DecodedCommit[] = [];
    for await (const read of commitsIn(this.dir, partition)) {
      const some: string[] = [];
      // A commit of this number of leaves is refused before they are read.
      for (
        const count = Math.min(read.size - read.firstOffset, COMMIT_LIMITS.events);
        some.length < count;
      ) {
        const next = await leaves.next();
        if (next.done) break;
        some.push(next.value);
      }
      batch.push(this.#checkCommit({ ...read, leaves: some }));
      if (batch.length < COMMITS_PER_FOLD) continue;
      await this.#fold(batch, versions);
      batch = [];
    }
    await this.#fold(batch, versions);
    if (!(await leaves.next()).done)
      throw new MismatchError({ what: 'the bundle has entries of no commit', partition });
  }

  async #fold(commits: readonly DecodedCommit[], versions: Projector): Promise<void> {
    await versions.fold(commits);
    await versions.write();
  }

  #checkCommit(commit: Commit): DecodedCommit {
    const { partition, position } = commit;
    try {
      this.#head = checkCommit(this.#head, commit);
      for (const trusted of this.trustedHeads)
        if (trusted.partition === partition) compareCommit(trusted, commit);
      const decoded = decodeCommit(commit);
      const misdated = findMisdated([commit], decoded.events);
      if (misdated) throw new MismatchError(misdated);
      return decoded;
    } catch (error) {
      throw new MismatchError(toMismatch(error, partition, position - 1));
    }
  }

  /** The entries in order, each compared with the tiles that it fills. */
  async *#leaves(): AsyncGenerator<string> {
    const { size } = this.head;
    for (let index = 0; index * TILE_WIDTH < size; index++) {
      const leaves = await this.#entries(index);
      for (const leaf of leaves) {
        for (const tile of this.#tree.add(leaf)) await this.#checkTile(tile);
        this.#compareRoot();
        yield leaf;
      }
      this.meter.add(leaves.length);
    }
  }

  async #entries(index: number): Promise<string[]> {
    const { partition, size } = this.head;
    const offset = index * TILE_WIDTH;
    const width = Math.min(TILE_WIDTH, size - offset);
    const path = bundlePaths.tile(partition, 'entries', index, width);
    const bytes = await fileOf(this.dir, path);
    const place = { partition, offset };
    const leaves = parseFile(() => readEntryBundle(bytes), path, place);
    if (leaves.length !== width)
      throw new MismatchError({ ...place, what: `${path} holds ${leaves.length} entries, not ${width}` });
    return leaves;
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

/** Reads the commits of a partition, without leaves. Each line must be as `commitLine` writes it. */
async function* commitsIn(dir: string, partition: number): AsyncGenerator<Omit<Commit, 'leaves'>> {
  const path = bundlePaths.commits(partition);
  const file = await open(join(dir, path)).catch((error: unknown) => {
    if (isMissing(error)) throw new MismatchError({ what: `${path} is missing`, partition });
    throw error;
  });
  let position = 0;
  try {
    for await (const line of file.readLines()) {
      position++;
      const place = { partition, position };
      // `checkCommit` checks every field, and the line must be made of nothing else.
      const commit = parseFile(
        () => ({ partition, ...(JSON.parse(line) as Omit<Commit, 'leaves' | 'partition'>) }),
        path,
        place,
      );
      if (commitLine(commit) !== line)
        throw new MismatchError({ ...place, what: `line ${position} of ${path} is not one of a commit` });
      yield commit;
    }
  } finally {
    await file.close();
  }
}

/** Parses a file. Any error becomes a `MismatchError` about the file. */
function parseFile<T>(work: () => T, path: string, place: Omit<Mismatch, 'what'>): T {
  try {
    return work();
  } catch (error) {
    const why = messageOf(error);
    throw new MismatchError({ ...place, what: `${path} cannot be read: ${why}` });
  }
}

/** The bundle to check, and the data to compare it with. */
export interface BundleOptions {
  readonly dir: string;
  /** Checkpoints that were kept elsewhere. */
  readonly since: readonly string[];
  /** Verifier keys that were kept elsewhere; by default the bundle's own are trusted. */
  readonly keys?: readonly string[];
  readonly onProgress?: OnProgress;
}

/**
 * Checks a bundle without a database. Checks signatures, every commit, entry and tile up to the signed head, and the
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
    // Of a bundle that lacks a partition it is not known how many there are.
    const count = heads.at(-1)?.partition === heads.length - 1 ? heads.length : undefined;
    const meter = new Meter(
      'bundle',
      heads.reduce((sum, { size }) => sum + size, 0),
      options.onProgress,
    );
    for (const head of heads)
      partitions.push(
        await new PartitionBundle(options.dir, head, trustedHeads, meter).check(directory, count),
      );
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
