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
export const TILE = 256;
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
  let level = pairsHashed(hashes, 'base64');
  while (level.length > 1) level = pairsHashed(level, 'latin1');
  return Buffer.from(level[0] ?? '', 'latin1').toString('base64');
}

/** The nodes above, a character a byte. */
function pairsHashed(hashes: readonly string[], encoding: 'base64' | 'latin1'): string[] {
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
