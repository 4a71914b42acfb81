import type { Hash } from '../log/log.js';
import { TILE } from '../log/merkle.js';
import { type Stretch, stretchHash, type TreeNode } from '../log/proof.js';
import type { RowReader } from '../projections/rows.js';
import { hashesOf, type TileRow, tileKey, tilesModel } from '../projections/tiles/model.js';
import { perfectRoot } from './tileTree.js';

/** Levels of the tree that lie in one tile. */
const TILE_LEVELS = 8;

/** Reads the Merkle tree of a partition from its tiles, which must be folded as far as they are asked for. */
export class TreeReader {
  constructor(private readonly rows: Pick<RowReader, 'get'>) {}

  /** A tile as far as it is filled; undefined if nothing is in it. */
  async tile(partition: number, level: number, index: number): Promise<TileRow | undefined> {
    const key = tileKey(partition, level, index);
    return (await this.rows.get(tilesModel, [key])).get(key)?.value ?? undefined;
  }

  /** The hash of each stretch of nodes; all tiles are read at once. */
  async hashes(partition: number, stretches: readonly Stretch[]): Promise<Hash[]> {
    const keys = new Set(stretches.flatMap((nodes) => nodes.map((node) => placeOf(partition, node).key)));
    const rows = keys.size === 0 ? new Map() : await this.rows.get(tilesModel, [...keys]);
    const tiles = new Map([...keys].map((key) => [key, hashesOf(rows.get(key)?.value ?? { hashes: '' })]));
    const hashOf = (node: TreeNode): Hash => {
      const { key, from, width } = placeOf(partition, node);
      const hashes = tiles.get(key)?.slice(from, from + width) ?? [];
      if (hashes.length < width) throw new RangeError(`tile ${key} does not reach to ${from + width}`);
      return perfectRoot(hashes);
    };
    return stretches.map((nodes) => stretchHash(nodes, hashOf));
  }
}

/** Where the nodes are that make this one: so many of a tile, from the left one on. */
function placeOf(
  partition: number,
  { level, index }: TreeNode,
): { key: string; from: number; width: number } {
  const tileLevel = Math.floor(level / TILE_LEVELS);
  const width = 2 ** (level % TILE_LEVELS);
  const first = index * width;
  return { key: tileKey(partition, tileLevel, Math.floor(first / TILE)), from: first % TILE, width };
}
