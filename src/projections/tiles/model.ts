import type { Hash } from '../../log/log.js';
import { leafHash, perfectRoot, TILE } from '../../log/merkle.js';
import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

/** A tile of a partition's Merkle tree, as far as it is filled. */
export interface TileRow {
  /** Base64 of 32 bytes each, 44 characters, one behind the other without a break. */
  readonly hashes: string;
  /** Of the commit of the first leaf: where to begin to read what the tile is of. */
  readonly position: number;
}

/** The length of a hash in base64. */
const HASH_LENGTH = 44;

/** The key of a tile; its level is that of C2SP tlog-tiles, a tile of level 1 is over 256 tiles of level 0. */
export const tileKey = (partition: number, level: number, index: number): string =>
  `${partition}/${level}/${index}`;

/** The hashes of a tile, from the left. */
export function hashesOf({ hashes }: Pick<TileRow, 'hashes'>): Hash[] {
  return Array.from({ length: hashes.length / HASH_LENGTH }, (_, i) =>
    hashes.slice(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
  );
}

/** The Merkle trees of the log, of which the log itself keeps the right edge alone: what proofs are made of. */
export const tilesModel: Model<TileRow> = { name: 'tiles', version: 2, largeRows: true, indexes: {} };

/** The fold of the tiles: each event is a leaf, and one that fills a tile is the last of a node in the tile above. */
export const tilesProjection: Projection<TileRow> = {
  model: tilesModel,
  keys({ partition, offset }) {
    const keys: string[] = [];
    for (let level = 0, count = offset + 1; ; level++, count /= TILE) {
      keys.push(tileKey(partition, level, Math.ceil(count / TILE) - 1));
      if (count % TILE !== 0) return keys;
    }
  },
  evolve(value, { leaf, leafHash: known, tileHash, position, partition, offset }, key, touched) {
    const level = Number(key.split('/')[1]);
    if (level === 0) return grown(value, known ?? leafHash(leaf), position);
    const below = touched(tileKey(partition, level - 1, (offset + 1) / TILE ** level - 1));
    if (!below) throw new Error(`tile ${key} has nothing below it that event ${offset} has filled`);
    // A tile's key gives a tile's row.
    const full = below as TileRow;
    const root = level === 1 && tileHash !== undefined ? tileHash : perfectRoot(hashesOf(full));
    return grown(value, root, full.position);
  },
  isFinished: ({ hashes }) => hashes.length === TILE * HASH_LENGTH,
};

// Field by field: spreading the old row takes longer than the hash, and each event comes here.
const grown = (tile: TileRow | null | undefined, hash: Hash, position: number): TileRow =>
  tile ? { hashes: tile.hashes + hash, position: tile.position } : { hashes: hash, position };
