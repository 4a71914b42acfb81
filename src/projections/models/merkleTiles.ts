import { LRUCache } from 'lru-cache';
import { type CommitRange, findLastCommit, readRange } from '../../log/checkLog.js';
import type { EventLog, Hash } from '../../log/log.js';
import {
  consistencyPath,
  inclusionPath,
  leafHash,
  type NodeSpan,
  perfectRoot,
  spanHash,
  spanOf,
  TILE_WIDTH,
  type TreeNode,
} from '../../log/merkle.js';
import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';

/** A tile of a partition's Merkle tree, as far as it is filled. */
export interface TileRow {
  /** Hashes of 32 bytes in base64, 44 characters each, without a separator. */
  readonly hashes: string;
  /** The position of the commit with the tile's first leaf; reads of its leaves begin there. */
  readonly position: number;
}

/** The length of a hash in base64. */
const HASH_LENGTH = 44;

/** The key of a tile. Levels are those of C2SP tlog-tiles: a tile of level 1 covers 256 tiles of level 0. */
export const tileKey = (partition: number, level: number, index: number): string =>
  `${partition}/${level}/${index}`;

/** The hashes of a tile, from the left. */
export function hashesOf({ hashes }: Pick<TileRow, 'hashes'>): Hash[] {
  return Array.from({ length: hashes.length / HASH_LENGTH }, (_, i) =>
    hashes.slice(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
  );
}

/** The Merkle trees of the log, which proofs are made from. The log itself stores only their right edge. */
export const tilesModel: Model<TileRow> = { name: 'tiles', version: 1, largeRows: true, indexes: {} };

/** Folds tiles: each event is a leaf. An event that fills a tile also adds a node to the tile above. */
export const tilesProjection: Projection<TileRow> = {
  model: tilesModel,
  keys({ partition, offset }) {
    const keys: string[] = [];
    for (let level = 0, count = offset + 1; ; level++, count /= TILE_WIDTH) {
      keys.push(tileKey(partition, level, Math.ceil(count / TILE_WIDTH) - 1));
      if (count % TILE_WIDTH !== 0) return keys;
    }
  },
  evolve(value, { leaf, leafHash: known, tileHash, position, partition, offset }, key, touched) {
    // Nearly all events fill no tile. To split the key takes as long as to append.
    if (key.startsWith('/0/', key.indexOf('/')))
      return appendToTile(value, known ?? leafHash(leaf), position);
    const level = Number(key.split('/')[1]);
    const below = touched(tileKey(partition, level - 1, (offset + 1) / TILE_WIDTH ** level - 1));
    if (!below) throw new Error(`event ${offset} fills tile ${key}, but the tile below is missing`);
    // A tile's key gives a tile's row.
    const full = below as TileRow;
    const root = level === 1 && tileHash !== undefined ? tileHash : perfectRoot(hashesOf(full));
    return appendToTile(value, root, full.position);
  },
  isRarelyChanged: ({ hashes }) => hashes.length === TILE_WIDTH * HASH_LENGTH,
};

// Copies field by field: spreading the old row takes longer than the hash, and each event comes here.
const appendToTile = (tile: TileRow | null | undefined, hash: Hash, position: number): TileRow =>
  tile ? { hashes: tile.hashes + hash, position: tile.position } : { hashes: hash, position };

/** Levels of the tree in one tile. */
const TILE_LEVELS = 8;

/** Cached nodes: about 3 MB. */
const MAX_NODES = 16_384;

/** Reads the Merkle tree of a partition from its tiles. The tiles must be folded as far as the reads go. */
export class TileReader {
  /** Nodes above level 0 of full tiles, which never change. All proofs need the same few of them. */
  readonly #nodes = new LRUCache<string, Hash>({ max: MAX_NODES });

  /** `model`: the model of the tiles. */
  constructor(
    private readonly rows: Pick<RowReader, 'get'>,
    private readonly model: Model<TileRow> = tilesModel,
  ) {}

  /** Reads tiles of one level; undefined for an empty tile. */
  async tiles(
    partition: number,
    level: number,
    indexes: readonly number[],
  ): Promise<(TileRow | undefined)[]> {
    const keys = indexes.map((index) => tileKey(partition, level, index));
    const rows = await this.rows.get(this.model, keys);
    return keys.map((key) => rows.get(key)?.value ?? undefined);
  }

  /** Computes the hash of each span of nodes; all tiles are read at once. */
  async hashes(partition: number, spans: readonly NodeSpan[]): Promise<Hash[]> {
    const known = new Map<string, Hash>();
    const absent = new Map<string, NodePlace>();
    for (const node of spans.flat()) {
      const hash = this.#nodes.get(nodeName(partition, node));
      if (hash === undefined) absent.set(nodeName(partition, node), findNode(partition, node));
      else known.set(nodeName(partition, node), hash);
    }
    const keys = new Set([...absent.values()].map(({ key }) => key));
    const rows = keys.size === 0 ? new Map() : await this.rows.get(this.model, [...keys]);
    const tiles = new Map([...keys].map((key) => [key, hashesOf(rows.get(key)?.value ?? { hashes: '' })]));
    for (const [name, place] of absent) {
      const tile = tiles.get(place.key) ?? [];
      const hash = subtreeRoot(tile, place);
      known.set(name, hash);
      if (place.level > 0 && tile.length === TILE_WIDTH) this.#nodes.set(name, hash);
    }
    // The loop above has added each node.
    return spans.map((nodes) => spanHash(nodes, (node) => known.get(nodeName(partition, node)) as Hash));
  }
}

const nodeName = (partition: number, { level, index }: TreeNode): string => `${partition}/${level}/${index}`;

/** A node's place: `width` hashes of a tile, beginning at `from`. */
interface NodePlace {
  readonly key: string;
  /** The tile's level. */
  readonly level: number;
  readonly from: number;
  readonly width: number;
}

function subtreeRoot(tile: readonly Hash[], { key, from, width }: NodePlace): Hash {
  const hashes = tile.slice(from, from + width);
  if (hashes.length < width) throw new RangeError(`tile ${key} has fewer than ${from + width} hashes`);
  return perfectRoot(hashes);
}

function findNode(partition: number, { level: height, index }: TreeNode): NodePlace {
  const level = Math.floor(height / TILE_LEVELS);
  const width = 2 ** (height % TILE_LEVELS);
  const first = index * width;
  return {
    key: tileKey(partition, level, Math.floor(first / TILE_WIDTH)),
    level,
    from: first % TILE_WIDTH,
    width,
  };
}

/**
 * Reads leaves and hashes for proofs. Everything asked for must be in the log and folded; otherwise all
 * functions throw `RangeError`.
 */
export interface MerkleReader {
  /**
   * The leaf at `offset` with its inclusion proof in the tree of `size` leaves. `upTo` is the position of a
   * commit at or behind the leaf.
   */
  inclusion(partition: number, offset: number, size: number, upTo: number): Promise<ProvenLeaf>;
  /** The proof that the tree of `size` leaves extends the one of its first `from` (RFC 6962). */
  consistency(partition: number, from: number, size: number): Promise<Hash[]>;
  /** The root of the first `size` leaves; `size` is at least 1. */
  root(partition: number, size: number): Promise<Hash>;
  /** The hashes of a tile, as far as it is filled. */
  tile(partition: number, level: number, index: number): Promise<Hash[]>;
  /**
   * The first `width` leaves of this tile of level 0. `upTo` is the position of a commit at or behind them.
   */
  leaves(partition: number, index: number, width: number, upTo: number): Promise<string[]>;
}

/** A leaf with its inclusion proof. */
export interface ProvenLeaf {
  readonly leaf: string;
  /** RFC 6962, from the bottom up. */
  readonly hashes: readonly Hash[];
}

/** Reads from a log, and from the tiles that are folded from it. */
export class StoredMerkleReader implements MerkleReader {
  constructor(
    private readonly log: Pick<EventLog, 'read' | 'places'>,
    private readonly tree: TileReader,
  ) {}

  async inclusion(partition: number, offset: number, size: number, upTo: number): Promise<ProvenLeaf> {
    // Concurrently, because the leaf needs more reads and hashing can go on meanwhile.
    const [leaf, hashes] = await Promise.all([
      this.#leaf(partition, offset, upTo),
      this.tree.hashes(partition, inclusionPath(offset, size)),
    ]);
    return { leaf, hashes };
  }

  consistency(partition: number, from: number, size: number): Promise<Hash[]> {
    return this.tree.hashes(partition, consistencyPath(from, size));
  }

  async root(partition: number, size: number): Promise<Hash> {
    const [root] = await this.tree.hashes(partition, [spanOf(0, size)]);
    if (root === undefined) throw new RangeError('a span must have one hash');
    return root;
  }

  async tile(partition: number, level: number, index: number): Promise<Hash[]> {
    const [tile] = await this.tree.tiles(partition, level, [index]);
    return tile ? hashesOf(tile) : [];
  }

  async leaves(partition: number, index: number, width: number, upTo: number): Promise<string[]> {
    const begin = index * TILE_WIDTH;
    const leaves: string[] = [];
    const between = await this.#commitsOf(partition, index, upTo);
    for await (const { firstOffset, leaves: texts } of readRange(this.log, between))
      leaves.push(...texts.slice(Math.max(0, begin - firstOffset), Math.max(0, begin + width - firstOffset)));
    if (leaves.length < width)
      throw new RangeError(`partition ${partition} has fewer than ${begin + width} events`);
    return leaves;
  }

  async #leaf(partition: number, offset: number, upTo: number): Promise<string> {
    const between = await this.#commitsOf(partition, Math.floor(offset / TILE_WIDTH), upTo);
    const position = await findLastCommit(this.log, between, ({ firstOffset }) => firstOffset <= offset);
    const [commit] = await this.log.read(partition, position - 1, 1);
    const leaf = commit?.leaves[offset - commit.firstOffset];
    if (leaf === undefined) throw new RangeError(`partition ${partition} has no event ${offset}`);
    return leaf;
  }

  /**
   * The commits that hold a tile's leaves. The next tile's first leaf may be in the same commit as its last
   * one.
   */
  async #commitsOf(partition: number, index: number, upTo: number): Promise<CommitRange> {
    const [tile, next] = await this.tree.tiles(partition, 0, [index, index + 1]);
    return { partition, after: (tile?.position ?? 1) - 1, upTo: next?.position ?? upTo };
  }
}
