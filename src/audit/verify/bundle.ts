import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LogEndsEarly } from '../../log/checkLog.js';
import {
  entryBundle,
  readEntryBundle,
  TILE_WIDTH,
  type Tile,
  TileTree,
  tileBytes,
  tilePath,
} from '../../log/merkle.js';
import { decodeCommit } from '../../projections/commitBuffer.js';
import { Projector } from '../../projections/projector.js';
import type { Engine } from '../../projections/store/engine.js';
import { openSqliteRows } from '../../projections/store/sqliteRows.js';
import { type ParsedHead, readHead, readTrustedHeads } from '../proof/trustedHeads.js';
import { type AuditedLog, openAuditedLog } from '../storedRows.js';
import { streamVersions } from './comparedModels.js';
import {
  type CheckedPartition,
  Meter,
  type Mismatch,
  MismatchError,
  type OnProgress,
  type Report,
} from './report.js';
import { scratch, type TrustedHead } from './verifyState.js';

/** Commits of one read: few, so that their memory is freed early. */
const COMMITS_PER_READ = 16;

/** The paths of a bundle's parts below its directory. */
const bundlePaths = {
  /** Verifier keys, one line each. */
  keys: 'key',
  checkpoint: (partition: number): string => join(String(partition), 'checkpoint'),
  tile: (partition: number, level: number | 'entries', index: number, width: number): string =>
    join(String(partition), 'tile', tilePath(level, index, width)),
};

/** The log to export, and up to where. */
export interface ExportOptions {
  readonly engine: Engine;
  /** The directory must be absent or empty. */
  readonly dir: string;
  /** One signed head for each partition that is exported; the export ends there. */
  readonly heads: readonly string[];
  /** The verifier keys of these heads. */
  readonly keys: readonly string[];
  readonly onProgress?: OnProgress;
}

/** The directory is not empty. */
export class NotEmpty extends Error {
  override readonly name = 'NotEmpty';
}

/**
 * Writes a bundle that can be read and verified without a database. It holds the signed head of each
 * partition, the tiles and entry bundles up to it (C2SP tlog-tiles), and the keys. Uses constant memory.
 * Throws `NotEmpty`, or `MismatchError` if the log does not match a head.
 */
export async function exportBundle(options: ExportOptions): Promise<{ partitions: number; events: number }> {
  const { dir, engine, keys } = options;
  await mkdir(dir, { recursive: true });
  if ((await readdir(dir)).length > 0) throw new NotEmpty(`${dir} is not empty`);
  const heads = options.heads.map(readHead);
  const events = heads.reduce((sum, { size }) => sum + size, 0);
  const meter = new Meter('export', events, options.onProgress);
  const log = await openAuditedLog(engine);
  try {
    for (const head of heads) await exportPartition(log, head, dir, meter);
  } finally {
    await log.close();
  }
  await writeFile(join(dir, bundlePaths.keys), `${keys.join('\n')}\n`);
  return { partitions: heads.length, events };
}

async function exportPartition(log: AuditedLog, head: ParsedHead, dir: string, meter: Meter): Promise<void> {
  const { partition, size, root, note } = head;
  const tree = new TileTree();
  const files = new Files(dir);
  const writeTile = (tile: Tile) =>
    files.write(bundlePaths.tile(partition, tile.level, tile.index, tile.hashes.length), tileBytes(tile));
  const writeEntries = (leaves: readonly string[]) => {
    const index = Math.floor((tree.size - 1) / TILE_WIDTH);
    return files.write(bundlePaths.tile(partition, 'entries', index, leaves.length), entryBundle(leaves));
  };
  let entries: string[] = [];
  for await (const leaf of leavesOf(log, partition, size)) {
    entries.push(leaf);
    for (const tile of tree.add(leaf)) await writeTile(tile);
    if (entries.length < TILE_WIDTH) continue;
    await writeEntries(entries);
    meter.add(entries.length);
    entries = [];
  }
  if (entries.length > 0) await writeEntries(entries);
  meter.add(entries.length);
  for (const tile of tree.partialTiles()) await writeTile(tile);
  if (tree.root() !== root) {
    const what = `partition ${partition} does not match its signed head of ${size} events: verify the log`;
    throw new MismatchError({ what, partition, offset: size - 1 });
  }
  // Written last: without a checkpoint an interrupted export has nothing to trust.
  await files.write(bundlePaths.checkpoint(partition), note);
}

/** The first `size` leaves of a partition. */
async function* leavesOf(log: AuditedLog, partition: number, size: number): AsyncGenerator<string> {
  let left = size;
  for (let position = 0; left > 0; ) {
    const commits = await log.read(partition, position, COMMITS_PER_READ);
    if (commits.length === 0) throw new LogEndsEarly(partition, position);
    for (const { leaves } of commits) {
      yield* leaves.slice(0, left);
      left -= Math.min(left, leaves.length);
    }
    position += commits.length;
  }
}

/** Writes files below a directory, and creates the directories between. */
class Files {
  #made = '';

  constructor(private readonly root: string) {}

  async write(path: string, content: string | Uint8Array): Promise<void> {
    const file = join(this.root, path);
    const directory = dirname(file);
    if (directory !== this.#made) await mkdir(directory, { recursive: true });
    this.#made = directory;
    await writeFile(file, content);
  }
}

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
