import type { Hash } from './log.js';
import { rootOf } from './merkle.js';

/** A node of a Merkle tree over a perfect subtree: of `2 ** level` leaves, the one that begins at `index * 2 ** level`. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** Nodes that side by side make one hash of a proof: the largest first, as in a frontier. */
export type Stretch = readonly TreeNode[];

/** The hash of a stretch, of those of its nodes. */
export const stretchHash = (stretch: Stretch, hashOf: (node: TreeNode) => Hash): Hash =>
  rootOf(stretch.map(hashOf));

/** The perfect subtrees that leaves from `begin` up to `end` (exclusive) are the sum of; aligned as RFC 6962 splits a tree. */
export function stretchOf(begin: number, end: number): Stretch {
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
export function inclusionPath(offset: number, size: number): Stretch[] {
  if (offset < 0 || offset >= size) throw new RangeError(`a tree of ${size} leaves has none at ${offset}`);
  const path: Stretch[] = [];
  let [begin, end] = [0, size];
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin);
    if (offset < middle) {
      path.unshift(stretchOf(middle, end));
      end = middle;
    } else {
      path.unshift(stretchOf(begin, middle));
      begin = middle;
    }
  }
  return path;
}

/**
 * What proves that the tree of `size` leaves extends the one of its first `from`, from the bottom up (RFC 6962, section
 * 2.1.2); nothing where they are the same. Throws `RangeError` unless `0 < from <= size`.
 */
export function consistencyPath(from: number, size: number): Stretch[] {
  if (from < 1 || from > size) throw new RangeError(`no tree of ${size} leaves extends one of ${from}`);
  const path: Stretch[] = [];
  let [begin, end] = [0, size];
  while (end !== from) {
    const middle = begin + splitOf(end - begin);
    if (from <= middle) {
      path.unshift(stretchOf(middle, end));
      end = middle;
    } else {
      path.unshift(stretchOf(begin, middle));
      begin = middle;
    }
  }
  // Where the old tree is a left part of the new one, who asks has its root.
  return begin === 0 ? path : [stretchOf(begin, end), ...path];
}
