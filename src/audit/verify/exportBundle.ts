import { open, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../../base/files.js';
import { readRange } from '../../log/checkLog.js';
import type { Commit, Hash } from '../../log/log.js';
import { entryBundle, TILE_WIDTH, type Tile, TileTree, tileBytes, tilePath } from '../../log/merkle.js';
import type { Engine } from '../../projections/store/engine.js';
import { type AuditedLog, openAuditedLog } from '../storedRows.js';
import { Meter, MismatchError, type OnProgress } from './report.js';
import { type ParsedHead, readHead } from './verify.js';

/** The paths of a bundle's parts below its directory. */
export const bundlePaths = {
  /** Verifier keys, one line each. */
  keys: 'key',
  checkpoint: (partition: number): string => join(String(partition), 'checkpoint'),
  /** The commits without their leaves, a line each. */
  commits: (partition: number): string => join(String(partition), 'commits'),
  tile: (partition: number, level: number | 'entries', index: number, width: number): string =>
    join(String(partition), 'tile', tilePath(level, index, width)),
};

/** A commit as a line of a bundle: without its partition and its leaves. The order of the fields is fixed. */
export function commitLine(commit: Omit<Commit, 'leaves'>): string {
  const { position, id, epoch, recordedAt, firstOffset, size, root, frontier, hash } = commit;
  const ends = frontier ? { frontier } : {};
  return JSON.stringify({ position, id, epoch, recordedAt, firstOffset, size, root, ...ends, hash });
}

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
 * partition, the commits, tiles and entry bundles up to it (C2SP tlog-tiles), and the keys. Uses constant memory.
 * Throws `NotEmpty`, or `MismatchError` if the log does not match a head.
 */
export async function exportBundle(options: ExportOptions): Promise<{ partitions: number; events: number }> {
  const { dir, engine, keys } = options;
  makeDirectory(dir);
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
  const { partition, size, root, note, commit } = head;
  const entries = new EntryWriter(dir, partition, meter);
  const commits = await openLines(join(dir, bundlePaths.commits(partition)));
  try {
    for await (const read of readRange(log, { partition, after: 0, upTo: commit.position })) {
      await commits.write(commitLine(read));
      for (const leaf of read.leaves) await entries.add(leaf);
    }
  } finally {
    await commits.close();
  }
  const found = await entries.end();
  if (found.root !== root || found.size !== size) {
    const what = `partition ${partition} does not match its signed head of ${size} events: verify the log`;
    throw new MismatchError({ what, partition, offset: size - 1 });
  }
  // Written last: without a checkpoint an interrupted export has nothing to trust.
  await new Files(dir).write(bundlePaths.checkpoint(partition), note);
}

/** Writes the entries and tiles of one partition. */
class EntryWriter {
  readonly #tree = new TileTree();
  readonly #files: Files;
  #entries: string[] = [];

  constructor(
    dir: string,
    private readonly partition: number,
    private readonly meter: Meter,
  ) {
    this.#files = new Files(dir);
  }

  async add(leaf: string): Promise<void> {
    this.#entries.push(leaf);
    for (const tile of this.#tree.add(leaf)) await this.#writeTile(tile);
    if (this.#entries.length === TILE_WIDTH) await this.#writeEntries();
  }

  /** Writes what is not full yet. */
  async end(): Promise<{ readonly size: number; readonly root: Hash }> {
    if (this.#entries.length > 0) await this.#writeEntries();
    for (const tile of this.#tree.partialTiles()) await this.#writeTile(tile);
    return { size: this.#tree.size, root: this.#tree.root() };
  }

  #writeTile(tile: Tile): Promise<void> {
    const path = bundlePaths.tile(this.partition, tile.level, tile.index, tile.hashes.length);
    return this.#files.write(path, tileBytes(tile));
  }

  async #writeEntries(): Promise<void> {
    const leaves = this.#entries;
    this.#entries = [];
    const index = Math.floor((this.#tree.size - 1) / TILE_WIDTH);
    const path = bundlePaths.tile(this.partition, 'entries', index, leaves.length);
    await this.#files.write(path, entryBundle(leaves));
    this.meter.add(leaves.length);
  }
}

/** The bytes of lines that are written at once. */
const LINES_BYTES = 256 * 1024;

/** Opens a file for lines, which are written in large parts. */
async function openLines(
  path: string,
): Promise<{ write(line: string): Promise<void>; close(): Promise<void> }> {
  makeDirectory(dirname(path));
  const file = await open(path, 'w');
  let waiting = '';
  const flush = async (): Promise<void> => {
    const text = waiting;
    waiting = '';
    if (text !== '') await file.writeFile(text);
  };
  return {
    async write(line) {
      waiting += `${line}\n`;
      if (waiting.length >= LINES_BYTES) await flush();
    },
    async close() {
      await flush().finally(() => file.close());
    },
  };
}

/** Writes files below a directory, and creates the directories between. */
class Files {
  #made = '';

  constructor(private readonly root: string) {}

  async write(path: string, content: string | Uint8Array): Promise<void> {
    const file = join(this.root, path);
    const directory = dirname(file);
    if (directory !== this.#made) makeDirectory(directory);
    this.#made = directory;
    await writeFile(file, content);
  }
}
