import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TILE } from '../log/merkle.js';
import { frameOf } from '../projections/frame.js';
import { Projector } from '../projections/projector.js';
import { openSqliteRows } from '../projections/rowsSqlite.js';
import { bundlePaths } from './bundle.js';
import { versionsOf } from './freshModels.js';
import type { Meter } from './progress.js';
import type { CheckedPartition } from './report.js';
import { readEntryBundle, type Tile, TileTree, tileBytes } from './tileTree.js';
import type { Witness } from './verifyChain.js';
import type { SignedHead } from './witness.js';
import { Contradiction, type Wrong } from './wrong.js';

/** A file of a bundle; that it is missing is a `Contradiction`. */
export async function fileOf(dir: string, path: string): Promise<Buffer> {
  try {
    return await readFile(join(dir, path));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    throw new Contradiction({ what: `${path} is missing` });
  }
}

/** The files of one partition. */
export class PartitionBundle {
  readonly #tree = new TileTree();
  #until = '';

  constructor(
    private readonly dir: string,
    private readonly head: SignedHead,
    private readonly witnesses: readonly Witness[],
    private readonly meter: Meter,
  ) {}

  async check(scratch: string): Promise<CheckedPartition> {
    const { partition, size } = this.head;
    const rows = openSqliteRows(join(scratch, `rows-${partition}.db`));
    try {
      const versions = await Projector.open(rows, [versionsOf(undefined)], partition + 1);
      for (let index = 0; index * TILE < size; index++) await this.#checkEntries(index, versions);
    } finally {
      await rows.close();
    }
    for (const tile of this.#tree.partial()) await this.#checkTile(tile);
    this.#compareRoot();
    return { partition, events: size, until: this.#until, root: this.#tree.root() };
  }

  async #checkEntries(index: number, versions: Projector): Promise<void> {
    const { partition, size } = this.head;
    const firstOffset = index * TILE;
    const width = Math.min(TILE, size - firstOffset);
    const path = bundlePaths.tile(partition, 'entries', index, width);
    const bytes = await fileOf(this.dir, path);
    const place = { partition, offset: firstOffset };
    const leaves = attempt(() => readEntryBundle(bytes), path, place);
    if (leaves.length !== width)
      throw new Contradiction({ ...place, what: `${path} holds ${leaves.length} entries, not ${width}` });
    for (const leaf of leaves) {
      const filled = this.#tree.add(leaf);
      for (const tile of filled) await this.#checkTile(tile);
      this.#compareRoot();
    }
    const frame = {
      partition,
      position: index + 1,
      firstOffset,
      size: firstOffset + width,
      recordedAt: '',
      leaves,
    };
    const { events, ...rest } = attempt(() => frameOf(frame), path, place);
    for (const { recordedAt, offset } of events) {
      if (recordedAt < this.#until)
        throw new Contradiction({
          partition,
          offset,
          what: `event ${offset} of partition ${partition} is before the one before it`,
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
    throw new Contradiction({
      what: `${path} is not made of the entries below it`,
      partition,
      offset: tile.index * TILE ** (tile.level + 1),
    });
  }

  /** With each witness to the tree as it is now, the bundle's own head among them. */
  #compareRoot(): void {
    const { partition } = this.head;
    const { size } = this.#tree;
    for (const witness of this.witnesses) {
      if (witness.partition !== partition) continue;
      if (size === this.head.size && witness.size > size)
        throw new Contradiction({
          what: `the bundle ends after ${size} events of partition ${partition}: by ${witness.source} it had ${witness.size}`,
          partition,
          offset: size,
        });
      if (witness.size !== size || witness.root === this.#tree.root()) continue;
      const what = `partition ${partition} is not what ${witness.source} says of its first ${size} events`;
      throw new Contradiction({ what, partition, offset: size - 1 });
    }
  }
}

/** What a file gives; whatever is thrown says that the file is not what it should be. */
function attempt<T>(work: () => T, path: string, place: Omit<Wrong, 'what'>): T {
  try {
    return work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Contradiction({ ...place, what: `${path} cannot be read: ${why}` });
  }
}
