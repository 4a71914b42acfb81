import { type Bytes, concat, sha256 } from './bytes.js';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The hash of an entry (RFC 9162, section 2.1.1): SHA-256(0x00 || entry). */
export const leafHash = (entry: Bytes): Promise<Bytes> => sha256(LEAF, entry);

/** The hash of two subtrees: SHA-256(0x01 || left || right). */
const nodeHash = (left: Bytes, right: Bytes): Promise<Bytes> => sha256(NODE, concat(left, right));

/** The root of the tree without leaves. */
export const emptyRoot = (): Promise<Bytes> => sha256();

/** One step up the tree: which hash of the proof was put on which side, and what that gave. */
export interface Climb {
  readonly beside: Bytes;
  readonly side: 'left' | 'right';
  readonly result: Bytes;
}

/** Where a proof leads: `root` is undefined if it has too many hashes or too few for this place and size. */
export interface Climbed {
  readonly climbs: readonly Climb[];
  readonly root: Bytes | undefined;
}

const isOdd = (n: number): boolean => n % 2 === 1;
/** A shift that is right beyond 32 bits too. */
const half = (n: number): number => Math.floor(n / 2);

/** A place on its way up: the node's index and that of the last node on its level (`fn` and `sn` in the RFC). */
class Place {
  constructor(
    private node: number,
    private last: number,
  ) {}

  get isTop(): boolean {
    return this.last === 0;
  }

  /** Skips the levels on which this node is itself the left half of nothing: it is carried up as it is. */
  skipTo(done: (node: number) => boolean): void {
    while (!done(this.node) && this.node !== 0) this.up();
  }

  up(): void {
    this.node = half(this.node);
    this.last = half(this.last);
  }

  /** Whether the next hash of the proof belongs to the left; goes up. */
  takesLeft(): boolean {
    const left = isOdd(this.node) || this.node === this.last;
    if (left) this.skipTo(isOdd);
    this.up();
    return left;
  }
}

/** From a leaf to the root by an inclusion proof: RFC 9162, section 2.1.3.2. Whether it is the right root is for the caller. */
export async function climbFromLeaf(
  leaf: Bytes,
  offset: number,
  size: number,
  path: readonly Bytes[],
): Promise<Climbed> {
  if (offset >= size) return { climbs: [], root: undefined };
  const place = new Place(offset, size - 1);
  const climbs: Climb[] = [];
  let result = leaf;
  for (const beside of path) {
    if (place.isTop) return { climbs, root: undefined };
    const isLeft = place.takesLeft();
    result = await (isLeft ? nodeHash(beside, result) : nodeHash(result, beside));
    climbs.push({ beside, side: isLeft ? 'left' : 'right', result });
  }
  return { climbs, root: place.isTop ? result : undefined };
}

/** A tree as a head tells of it. */
export interface Tree {
  readonly size: number;
  readonly root: Bytes;
}

/** Both roots as a consistency proof gives them; undefined if it has not the form of one for these sizes. */
export interface BothRoots {
  readonly older: Bytes;
  readonly newer: Bytes;
}

/**
 * The roots of the tree of `from` leaves and of the one of `size` that extends it, by a consistency proof: RFC 9162,
 * section 2.1.4.2, where 0 < from < size. `olderRoot` is what the proof leaves out if `from` is a power of two.
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
  const place = new Place(from - 1, size - 1);
  place.skipTo((node) => !isOdd(node));
  let [older, newer] = [first, first];
  for (const hash of rest) {
    if (place.isTop) return undefined;
    if (place.takesLeft()) [older, newer] = await Promise.all([nodeHash(hash, older), nodeHash(hash, newer)]);
    else newer = await nodeHash(newer, hash);
  }
  return place.isTop ? { older, newer } : undefined;
}
