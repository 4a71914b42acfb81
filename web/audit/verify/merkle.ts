import { type Bytes, concat, sha256 } from './bytes.js';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The hash of an entry (RFC 9162, section 2.1.1): SHA-256(0x00 || entry). */
export const leafHash = (entry: Bytes): Promise<Bytes> => sha256(LEAF, entry);

/** The hash of two subtrees: SHA-256(0x01 || left || right). */
const nodeHash = (left: Bytes, right: Bytes): Promise<Bytes> => sha256(NODE, concat(left, right));

/** The root hash of an empty tree. */
export const emptyRoot = (): Promise<Bytes> => sha256();

/** One level of an inclusion proof: the hash from the proof, its side, and the hash of both children. */
export interface Level {
  readonly sibling: Bytes;
  readonly side: 'left' | 'right';
  readonly result: Bytes;
}

/** The result of an inclusion proof; `root` is undefined if the number of hashes does not fit the offset and size. */
export interface InclusionResult {
  readonly levels: readonly Level[];
  readonly root: Bytes | undefined;
}

const isOdd = (n: number): boolean => n % 2 === 1;
/** Not a bit shift: that would be wrong beyond 32 bits. */
const half = (n: number): number => Math.floor(n / 2);

/** A node of the path to the root: its index and the index of the last node on its level (`fn` and `sn` in the RFC). */
class PathNode {
  constructor(
    private index: number,
    private lastIndex: number,
  ) {}

  get isRoot(): boolean {
    return this.lastIndex === 0;
  }

  /** Moves up to the first level whose index satisfies `isDone`, or to index 0. The levels between need no hash. */
  skipTo(isDone: (index: number) => boolean): void {
    while (!isDone(this.index) && this.index !== 0) this.up();
  }

  up(): void {
    this.index = half(this.index);
    this.lastIndex = half(this.lastIndex);
  }

  /** Moves up one level of the proof. Returns whether the next hash of the proof is the left sibling. */
  moveUp(): boolean {
    const isLeft = isOdd(this.index) || this.index === this.lastIndex;
    if (isLeft) this.skipTo(isOdd);
    this.up();
    return isLeft;
  }
}

/** The root hash that an inclusion proof leads to (RFC 9162, section 2.1.3.2). The caller compares it. */
export async function rootByInclusion(
  leaf: Bytes,
  offset: number,
  size: number,
  path: readonly Bytes[],
): Promise<InclusionResult> {
  if (offset >= size) return { levels: [], root: undefined };
  const node = new PathNode(offset, size - 1);
  const levels: Level[] = [];
  let result = leaf;
  for (const sibling of path) {
    if (node.isRoot) return { levels, root: undefined };
    const isLeft = node.moveUp();
    result = await (isLeft ? nodeHash(sibling, result) : nodeHash(result, sibling));
    levels.push({ sibling, side: isLeft ? 'left' : 'right', result });
  }
  return { levels, root: node.isRoot ? result : undefined };
}

/** A tree's size and root hash. */
export interface Tree {
  readonly size: number;
  readonly root: Bytes;
}

/** The root hashes of both trees of a consistency proof. */
export interface BothRoots {
  readonly older: Bytes;
  readonly newer: Bytes;
}

/**
 * The root hashes that a consistency proof leads to (RFC 9162, section 2.1.4.2, 0 < from < size). The older tree has
 * `from` leaves, the newer one `size`. `undefined` if the number of hashes does not fit the sizes. A proof omits
 * `olderRoot` if `from` is a power of two.
 */
export async function rootsByConsistency(
  from: number,
  size: number,
  olderRoot: Bytes,
  proof: readonly Bytes[],
): Promise<BothRoots | undefined> {
  if (proof.length === 0) return undefined;
  const [first, ...rest] = Number.isInteger(Math.log2(from)) ? [olderRoot, ...proof] : proof;
  if (first === undefined) return undefined;
  const node = new PathNode(from - 1, size - 1);
  node.skipTo((index) => !isOdd(index));
  let [older, newer] = [first, first];
  for (const hash of rest) {
    if (node.isRoot) return undefined;
    if (node.moveUp()) [older, newer] = await Promise.all([nodeHash(hash, older), nodeHash(hash, newer)]);
    else newer = await nodeHash(newer, hash);
  }
  return node.isRoot ? { older, newer } : undefined;
}
