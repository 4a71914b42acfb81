import { LRUCache } from 'lru-cache';
import type { Hash } from '../log/log.js';
import { perfectRoot, TILE } from '../log/merkle.js';
import { type Stretch, stretchHash, type TreeNode } from '../log/proof.js';
import type { Model, RowReader } from '../projections/rows.js';
import { hashesOf, type TileRow, tileKey, tilesModel } from '../projections/tiles/model.js';

/** Levels of the tree that lie in one tile. */
const TILE_LEVELS = 8;

/** Nodes that are kept: about 3 MB. */
const MOST_NODES = 16_384;

/** Reads the Merkle tree of a partition from its tiles, which must be folded as far as they are asked for. */
export class TreeReader {
  /** Of tiles that are full, and so never change, above the lowest: all proofs are made of few of these. */
  readonly #nodes = new LRUCache<string, Hash>({ max: MOST_NODES });

  /** `model`: what the tiles are in. */
  constructor(
    private readonly rows: Pick<RowReader, 'get'>,
    private readonly model: Model<TileRow> = tilesModel,
  ) {}

  /** Tiles of a level as far as they are filled; undefined where nothing is in one. */
  async tiles(
    partition: number,
    level: number,
    indexes: readonly number[],
  ): Promise<(TileRow | undefined)[]> {
    const keys = indexes.map((index) => tileKey(partition, level, index));
    const rows = await this.rows.get(this.model, keys);
    return keys.map((key) => rows.get(key)?.value ?? undefined);
  }

  /** The hash of each stretch of nodes; all tiles are read at once. */
  async hashes(partition: number, stretches: readonly Stretch[]): Promise<Hash[]> {
    const known = new Map<string, Hash>();
    const absent = new Map<string, Place>();
    for (const node of stretches.flat()) {
      const hash = this.#nodes.get(nameOf(partition, node));
      if (hash === undefined) absent.set(nameOf(partition, node), placeOf(partition, node));
      else known.set(nameOf(partition, node), hash);
    }
    const keys = new Set([...absent.values()].map(({ key }) => key));
    const rows = keys.size === 0 ? new Map() : await this.rows.get(this.model, [...keys]);
    const tiles = new Map([...keys].map((key) => [key, hashesOf(rows.get(key)?.value ?? { hashes: '' })]));
    for (const [name, place] of absent) {
      const tile = tiles.get(place.key) ?? [];
      const hash = rootIn(tile, place);
      known.set(name, hash);
      if (place.level > 0 && tile.length === TILE) this.#nodes.set(name, hash);
    }
    // Each node has been put there above.
    return stretches.map((nodes) => stretchHash(nodes, (node) => known.get(nameOf(partition, node)) as Hash));
  }
}

const nameOf = (partition: number, { level, index }: TreeNode): string => `${partition}/${level}/${index}`;

/** Where the nodes are that make one: so many of a tile, from the left one on. */
interface Place {
  readonly key: string;
  /** The tile's. */
  readonly level: number;
  readonly from: number;
  readonly width: number;
}

function rootIn(tile: readonly Hash[], { key, from, width }: Place): Hash {
  const hashes = tile.slice(from, from + width);
  if (hashes.length < width) throw new RangeError(`tile ${key} does not reach to ${from + width}`);
  return perfectRoot(hashes);
}

function placeOf(partition: number, { level: height, index }: TreeNode): Place {
  const level = Math.floor(height / TILE_LEVELS);
  const width = 2 ** (height % TILE_LEVELS);
  const first = index * width;
  return { key: tileKey(partition, level, Math.floor(first / TILE)), level, from: first % TILE, width };
}
