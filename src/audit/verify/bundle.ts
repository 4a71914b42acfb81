import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LogEndsEarly } from '../../log/checkLog.js';
import { entryBundle, TILE_WIDTH, type Tile, TileTree, tileBytes, tilePath } from '../../log/merkle.js';
import type { Engine } from '../../projections/store/engine.js';
import { type ParsedHead, readHead } from '../proof/trustedHeads.js';
import { type AuditedLog, openAuditedLog } from '../storedRows.js';
import { Meter, MismatchError, type OnProgress } from './report.js';

/** Commits of one read: few, so that their memory is freed early. */
const PAGE = 16;

/** The paths of a bundle's parts below its directory. */
export const bundlePaths = {
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
    const commits = await log.read(partition, position, PAGE);
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
