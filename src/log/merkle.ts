import { hash as digest } from 'node:crypto';
import type { Hash } from './log.js';

/**
 * A Merkle tree over SHA-256, as defined in RFC 6962, section 2.1. Its nodes are not kept. The frontier
 * suffices to grow it: the roots of the perfect subtrees that add up to its size, largest first.
 */
export interface Tree {
  readonly size: number;
  readonly frontier: readonly Hash[];
  readonly root: Hash;
  /** The roots of the tiles completed by the last added leaves. */
  readonly filled: readonly Hash[];
}

/** The leaves of one tile (C2SP tlog-tiles): a perfect subtree of `TILE_LEVELS` levels. */
export const TILE_WIDTH = 256;
const TILE_LEVELS = 8;

// Shared by all calls. Hashing is synchronous, so two calls never overlap.
const node = Buffer.alloc(65, 0x01);

/** Hashes a leaf: a zero byte and its UTF-8. */
export const leafHash = (leaf: string): Hash => digest('sha256', `\0${leaf}`, 'base64');

/** Hashes an inner node: a byte 1 and the hashes of its two children. */
export function nodeHash(left: Hash, right: Hash): Hash {
  node.write(left, 1, 'base64');
  node.write(right, 33, 'base64');
  return digest('sha256', node, 'base64');
}

/** Computes the root over adjacent nodes, whose number must be a power of two. */
export function perfectRoot(hashes: readonly Hash[]): Hash {
  const [only] = hashes;
  if (only !== undefined && hashes.length === 1) return only;
  // Base64 takes a quarter of the time of hashing, so that inner levels stay binary.
  let level = hashPairs(hashes, 'base64');
  while (level.length > 1) level = hashPairs(level, 'latin1');
  return Buffer.from(level[0] ?? '', 'latin1').toString('base64');
}

/** Computes the level above, as binary strings. */
function hashPairs(hashes: readonly string[], encoding: 'base64' | 'latin1'): string[] {
  const above: string[] = [];
  for (let i = 0; i < hashes.length; i += 2) {
    node.write(hashes[i] ?? '', 1, encoding);
    node.write(hashes[i + 1] ?? '', 33, encoding);
    above.push(digest('sha256', node, 'binary'));
  }
  return above;
}

/** Computes the root of the tree with this frontier. The empty tree has the SHA-256 of the empty string. */
export function rootOf(frontier: readonly Hash[]): Hash {
  let root = frontier.at(-1);
  if (root === undefined) return digest('sha256', '', 'base64');
  for (let i = frontier.length - 2; i >= 0; i--) root = nodeHash(frontier[i] ?? '', root);
  return root;
}

/** Adds leaves to a tree of `size` leaves: two hashes per leaf, plus those of the root. */
export const appendLeaves = (frontier: readonly Hash[], size: number, leaves: readonly string[]): Tree =>
  appendHashes(frontier, size, leaves.map(leafHash));

/** As `appendLeaves`, for leaves that are already hashed. */
export function appendHashes(frontier: readonly Hash[], size: number, leafHashes: readonly Hash[]): Tree {
  const roots = [...frontier];
  const filled: Hash[] = [];
  let grown = size;
  for (const hash of leafHashes) {
    let root = hash;
    let level = 0;
    // Each trailing one-bit of the size is a perfect subtree as large as the new one: the two join.
    for (let rest = grown; rest % 2 === 1; rest = (rest - 1) / 2) {
      const left = roots.pop();
      if (left === undefined) throw new RangeError(`the frontier does not fit a tree of ${size} leaves`);
      root = nodeHash(left, root);
      if (++level === TILE_LEVELS) filled.push(root);
    }
    roots.push(root);
    grown++;
  }
  return { size: grown, frontier: roots, root: rootOf(roots), filled };
}

/** The root of a perfect subtree: `2 ** level` leaves, the first at `index * 2 ** level`. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** Adjacent nodes that together form one hash of a proof, the largest first. */
export type NodeSpan = readonly TreeNode[];

/** Computes the hash of a span from the hashes of its nodes. */
export const spanHash = (span: NodeSpan, hashOf: (node: TreeNode) => Hash): Hash => rootOf(span.map(hashOf));

/**
 * Returns the perfect subtrees that cover the leaves from `begin` to `end` (exclusive), aligned as in RFC
 * 6962.
 */
export function spanOf(begin: number, end: number): NodeSpan {
  const nodes: TreeNode[] = [];
  for (let at = begin; at < end; ) {
    const level = Math.floor(Math.log2(end - at));
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

/** Returns the largest power of two below `n`, which must be at least 2. */
function splitOf(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/**
 * Returns the inclusion proof of the leaf at `offset` in a tree of `size` leaves (RFC 6962, section 2.1.1),
 * bottom up. Throws `RangeError` if the tree has no such leaf.
 */
export function inclusionPath(offset: number, size: number): NodeSpan[] {
  if (offset < 0 || offset >= size)
    throw new RangeError(`a tree of ${size} leaves has no leaf at offset ${offset}`);
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
 * Returns the consistency proof from a tree of `from` leaves to one of `size` (RFC 6962, section 2.1.2),
 * bottom up. It is empty if the two are equal. Throws `RangeError` unless `0 < from <= size`.
 */
export function consistencyPath(from: number, size: number): NodeSpan[] {
  if (from < 1 || from > size)
    throw new RangeError(`a tree of ${size} leaves cannot extend a tree of ${from} leaves`);
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
  // If the old tree is a left subtree of the new one, the verifier has its root already.
  return begin === 0 ? path : [spanOf(begin, end), ...path];
}

/** A tile of the tree. Level 0, 1, 2 … of tiles starts at level 0, 8, 16 … of the tree. */
export interface Tile {
  readonly level: number;
  readonly index: number;
  /** `TILE_WIDTH` hashes; fewer only at the right edge of the tree. */
  readonly hashes: readonly Hash[];
}

/** A Merkle tree (RFC 6962) that grows tile by tile. Only the incomplete tile of each level is in memory. */
export class TileTree {
  #size = 0;
  readonly #levels: { full: number; hashes: Hash[] }[] = [];

  /** The number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Adds a leaf. Returns the tiles it completes, the lowest first. */
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

  /** Returns the incomplete tiles at the right edge, the lowest first. */
  partialTiles(): Tile[] {
    return this.#levels.flatMap(({ full, hashes }, level) =>
      hashes.length > 0 ? [{ level, index: full, hashes }] : [],
    );
  }

  /** Computes the present root. */
  root(): Hash {
    const frontier = this.#levels.toReversed().flatMap(({ hashes }) => perfectRoots(hashes));
    return rootOf(frontier);
  }
}

/** Returns the roots of the perfect subtrees over adjacent nodes, the largest first. */
function perfectRoots(hashes: readonly Hash[]): Hash[] {
  const roots: Hash[] = [];
  for (let from = 0, width = TILE_WIDTH; width >= 1; width /= 2)
    if (from + width <= hashes.length) {
      roots.push(perfectRoot(hashes.slice(from, from + width)));
      from += width;
    }
  return roots;
}

/** Writes a number as in C2SP tlog-tiles: 1234067 is `x001/x234/067`. */
function pathNumber(n: number): string {
  const groups = [String(n % 1000).padStart(3, '0')];
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  return groups.join('/');
}

/** Returns the path of a tile or entry bundle below `tile/`. `width` is its number of hashes or entries. */
export function tilePath(level: number | 'entries', index: number, width: number): string {
  return `${level}/${pathNumber(index)}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

/** Concatenates the hashes of a tile. */
export const tileBytes = ({ hashes }: Tile): Buffer =>
  Buffer.concat(hashes.map((hash) => Buffer.from(hash, 'base64')));

/** Encodes an entry bundle: each leaf after its length in two bytes, big-endian. */
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

/** Decodes an entry bundle. Throws `RangeError` or `TypeError` if the bytes are not one. */
export function readEntryBundle(bytes: Buffer): string[] {
  const leaves: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) throw new RangeError('the entry bundle ends within an entry');
    leaves.push(utf8.decode(bytes.subarray(at + 2, end)));
    at = end;
  }
  return leaves;
}
