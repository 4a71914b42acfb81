import { hash as digest } from 'node:crypto';
import type { Hash } from './log.js';

/**
 * A Merkle tree as RFC 6962, section 2.1, defines it, over SHA-256. Its nodes are not kept: the frontier, the
 * roots of the perfect subtrees that its size is the sum of (largest first), is enough to grow it.
 */
export interface Tree {
  readonly size: number;
  readonly frontier: readonly Hash[];
  readonly root: Hash;
  /** The roots of the tiles that the leaves added last have filled. */
  readonly filled: readonly Hash[];
}

/** Leaves of one tile (C2SP tlog-tiles): a perfect subtree of eight levels. */
export const TILE_WIDTH = 256;
const TILE_LEVELS = 8;

// Reused by every call: hashing is synchronous, so no two calls are ever inside at once.
const node = Buffer.alloc(65, 0x01);

/** The hash of one leaf: a zero byte and its UTF-8. */
export const leafHash = (leaf: string): Hash => digest('sha256', `\0${leaf}`, 'base64');

/** The hash of an inner node: a byte 1 and the hashes of its two children. */
export function nodeHash(left: Hash, right: Hash): Hash {
  node.write(left, 1, 'base64');
  node.write(right, 33, 'base64');
  return digest('sha256', node, 'base64');
}

/** The root over nodes side by side, a power of two of them. */
export function perfectRoot(hashes: readonly Hash[]): Hash {
  const [only] = hashes;
  if (only !== undefined && hashes.length === 1) return only;
  // Base64 takes a quarter of the time of hashing: what is neither given nor answered stays in bytes.
  let level = hashPairs(hashes, 'base64');
  while (level.length > 1) level = hashPairs(level, 'latin1');
  return Buffer.from(level[0] ?? '', 'latin1').toString('base64');
}

/** The nodes above, a character a byte. */
function hashPairs(hashes: readonly string[], encoding: 'base64' | 'latin1'): string[] {
  const above: string[] = [];
  for (let i = 0; i < hashes.length; i += 2) {
    node.write(hashes[i] ?? '', 1, encoding);
    node.write(hashes[i + 1] ?? '', 33, encoding);
    above.push(digest('sha256', node, 'binary'));
  }
  return above;
}

/** The root of the tree that has this frontier; of the empty one, the SHA-256 of nothing. */
export function rootOf(frontier: readonly Hash[]): Hash {
  if (frontier.length === 0) return digest('sha256', '', 'base64');
  return frontier.reduceRight((right, left) => nodeHash(left, right));
}

/** The tree after `leaves`, from the frontier and size before them: two hashes a leaf, and the root's. */
export const appendLeaves = (frontier: readonly Hash[], size: number, leaves: readonly string[]): Tree =>
  appendHashes(frontier, size, leaves.map(leafHash));

/** The same, of leaves that are hashed already. */
export function appendHashes(frontier: readonly Hash[], size: number, leafHashes: readonly Hash[]): Tree {
  const roots = [...frontier];
  const filled: Hash[] = [];
  let grown = size;
  for (const hash of leafHashes) {
    let root = hash;
    let level = 0;
    // Each trailing one in the size's bits is a perfect subtree as large as the one being made: they join.
    for (let rest = grown; rest % 2 === 1; rest = (rest - 1) / 2) {
      const left = roots.pop();
      if (left === undefined) throw new RangeError(`this is not the frontier of ${size} leaves`);
      root = nodeHash(left, root);
      if (++level === TILE_LEVELS) filled.push(root);
    }
    roots.push(root);
    grown++;
  }
  return { size: grown, frontier: roots, root: rootOf(roots), filled };
}

/** A node of a Merkle tree over a perfect subtree: of `2 ** level` leaves, the one that begins at `index * 2 ** level`. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** Nodes that side by side make one hash of a proof: the largest first, as in a frontier. */
export type NodeSpan = readonly TreeNode[];

/** The hash of a stretch, of those of its nodes. */
export const spanHash = (stretch: NodeSpan, hashOf: (node: TreeNode) => Hash): Hash =>
  rootOf(stretch.map(hashOf));

/** The perfect subtrees that leaves from `begin` up to `end` (exclusive) are the sum of; aligned as RFC 6962 splits a tree. */
export function spanOf(begin: number, end: number): NodeSpan {
  const nodes: TreeNode[] = [];
  for (let at = begin; at < end; ) {
    const level = Math.floor(Math.log2(end - at));
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

/** The largest power of two that is smaller than `n`, which is at least 2. */
function splitOf(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/**
 * What proves that the leaf at `offset` is in the tree of `size` leaves, from the bottom up (RFC 6962, section 2.1.1).
 * Throws `RangeError` if it is not.
 */
export function inclusionPath(offset: number, size: number): NodeSpan[] {
  if (offset < 0 || offset >= size) throw new RangeError(`a tree of ${size} leaves has none at ${offset}`);
  const path: NodeSpan[] = [];
  let [begin, end] = [0, size];
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin);
    if (offset < middle) {
      path.unshift(spanOf(middle, end));
      end = middle;
    } else {
      path.unshift(spanOf(begin, middle));
      begin = middle;
    }
  }
  return path;
}

/**
 * What proves that the tree of `size` leaves extends the one of its first `from`, from the bottom up (RFC 6962, section
 * 2.1.2); nothing where they are the same. Throws `RangeError` unless `0 < from <= size`.
 */
export function consistencyPath(from: number, size: number): NodeSpan[] {
  if (from < 1 || from > size) throw new RangeError(`no tree of ${size} leaves extends one of ${from}`);
  const path: NodeSpan[] = [];
  let [begin, end] = [0, size];
  while (end !== from) {
    const middle = begin + splitOf(end - begin);
    if (from <= middle) {
      path.unshift(spanOf(middle, end));
      end = middle;
    } else {
      path.unshift(spanOf(begin, middle));
      begin = middle;
    }
  }
  // Where the old tree is a left part of the new one, who asks has its root.
  return begin === 0 ? path : [spanOf(begin, end), ...path];
}

/** A tile: a stretch of the tree's nodes on level 0, 8, 16 …, which are here 0, 1, 2 … */
export interface Tile {
  readonly level: number;
  readonly index: number;
  /** 256 of them, fewer only at the right edge of the tree. */
  readonly hashes: readonly Hash[];
}

/** A Merkle tree (RFC 6962) that grows tile by tile; of each level only the unfinished tile is in memory. */
export class TileTree {
  #size = 0;
  readonly #levels: { full: number; hashes: Hash[] }[] = [];

  /** How many leaves there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds a leaf; answers the tiles that it has filled, the lowest first. */
  add(leaf: string): Tile[] {
    const filled: Tile[] = [];
    this.#size++;
    for (let level = 0, hash = leafHash(leaf); ; level++) {
      this.#levels[level] ??= { full: 0, hashes: [] };
      const at = this.#levels[level];
      if (!at) return filled;
      at.hashes.push(hash);
      if (at.hashes.length < TILE_WIDTH) return filled;
      filled.push({ level, index: at.full, hashes: at.hashes });
      hash = perfectRoot(at.hashes);
      this.#levels[level] = { full: at.full + 1, hashes: [] };
    }
  }

  /** The tiles at the right edge that are begun and not full, the lowest first. */
  partialTiles(): Tile[] {
    return this.#levels.flatMap(({ full, hashes }, level) =>
      hashes.length > 0 ? [{ level, index: full, hashes }] : [],
    );
  }

  /** The root of the tree as it is now. */
  root(): Hash {
    const frontier = this.#levels.toReversed().flatMap(({ hashes }) => perfectRoots(hashes));
    return rootOf(frontier);
  }
}

/** The roots of the perfect subtrees over a stretch of nodes, the largest first. */
function perfectRoots(hashes: readonly Hash[]): Hash[] {
  const roots: Hash[] = [];
  for (let from = 0, width = TILE_WIDTH; width >= 1; width /= 2)
    if (from + width <= hashes.length) {
      roots.push(perfectRoot(hashes.slice(from, from + width)));
      from += width;
    }
  return roots;
}

/** A number as a path of C2SP tlog-tiles writes it: 1234067 is `x001/x234/067`. */
function pathNumber(n: number): string {
  const groups = [String(n % 1000).padStart(3, '0')];
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  return groups.join('/');
}

/** Where a tile, or the entry bundle beside it, lies below `tile/`. `width`: how many it holds. */
export function tilePath(level: number | 'entries', index: number, width: number): string {
  return `${level}/${pathNumber(index)}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

/** A tile's bytes: its hashes, one behind the other. */
export const tileBytes = ({ hashes }: Tile): Buffer =>
  Buffer.concat(hashes.map((hash) => Buffer.from(hash, 'base64')));

/** An entry bundle: each leaf behind its length of two bytes, big-endian. */
export function entryBundle(leaves: readonly string[]): Buffer {
  return Buffer.concat(
    leaves.flatMap((leaf) => {
      const entry = Buffer.from(leaf);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The leaves of an entry bundle. Throws `RangeError` or `TypeError` for what is none. */
export function readEntryBundle(bytes: Buffer): string[] {
  const leaves: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) throw new RangeError('it ends within an entry');
    leaves.push(utf8.decode(bytes.subarray(at + 2, end)));
    at = end;
  }
  return leaves;
}
