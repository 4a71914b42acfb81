import { createHash, hash, randomBytes } from 'node:crypto';
import type { Sealed } from '../domain/fields.js';
import type { RoomId, TextPlace, UserId, WriterInRoom } from '../domain/ids.js';
import { CipherError, type DataKey, openBytes, sealBytes } from './dataKeys.js';

/**
 * What is left of a tree of keys (Goldreich, Goldwasser and Micali 1986): the key of a whole tree, its two halves, or
 * null where a text was destroyed. A key is 24 bytes as a Latin-1 string: Node hashes into a string in 0.4 µs, into a
 * buffer in 1.1 µs.
 */
export type Tree = string | Halves | null;
interface Halves {
  readonly left: Tree;
  readonly right: Tree;
}
/** Bits, each 0 for left or 1 for right. */
export type Path = Uint8Array;

const NODE_BYTES = 24;
/** The bytes of the secret that makes the places of a person's rooms. */
export const SALT_BYTES = 16;
const NODE_PREFIX = Buffer.from('parley/n');
const LEAF_PREFIX = Buffer.from('parley/t');
const ROOM_PREFIX = 'parley/r';
const ROOM_PATH_BYTES = 8;
const BITS_A_DIGIT = 4;
/** The most hexadecimal digits of a safe integer. */
const MAX_SEQ_DIGITS = 14;

const nodeInput = Buffer.concat([NODE_PREFIX, Buffer.alloc(NODE_BYTES)]);
const leafInput = Buffer.concat([LEAF_PREFIX, Buffer.alloc(NODE_BYTES + 6)]);

function halve(node: string): Halves {
  nodeInput.write(node, NODE_PREFIX.length, 'latin1');
  const both = hash('sha512', nodeInput, 'binary');
  nodeInput.fill(0, NODE_PREFIX.length);
  return { left: both.slice(0, NODE_BYTES), right: both.slice(NODE_BYTES, 2 * NODE_BYTES) };
}

const expand = (tree: string | Halves): Halves => (typeof tree === 'string' ? halve(tree) : tree);

/** The branch at the path. */
function branchAt(tree: Tree, path: Path): Tree {
  let branch = tree;
  for (const bit of path) {
    if (branch === null) return null;
    const { left, right }: Halves = expand(branch);
    branch = bit === 0 ? left : right;
  }
  return branch;
}

/** The tree without the branch at the path. Returns the same object if the branch is gone already. */
export function cutOut(tree: Tree, path: Path, depth = 0): Tree {
  if (tree === null || depth === path.length) return null;
  const { left, right } = expand(tree);
  const [from, other] = path[depth] === 0 ? [left, right] : [right, left];
  const to = cutOut(from, path, depth + 1);
  if (to === from) return tree;
  if (to === null && other === null) return null;
  return path[depth] === 0 ? { left: to, right: other } : { left: other, right: to };
}

/** The place of a room in a person's tree: 64 bits that nobody can choose, because the salt is secret. */
export function roomPath(salt: Uint8Array, roomId: RoomId): Path {
  const digest = createHash('sha256').update(ROOM_PREFIX).update(salt).update(roomId).digest();
  const bits = new Uint8Array(ROOM_PATH_BYTES * 8);
  for (let i = 0; i < bits.length; i++) bits[i] = ((digest[i >> 3] ?? 0) >> (7 - (i & 7))) & 1;
  return bits;
}

/** Writes the path of a `seq` into `bits` and returns its length. No path begins another: it begins with its length. */
function writeSeqPath(seq: number, bits: Uint8Array): number {
  if (!Number.isSafeInteger(seq) || seq < 0) throw new RangeError(`${seq} is no sequence number`);
  const digits = seq.toString(16);
  let digit = digits.length;
  let at = 0;
  for (let i = 0; i <= digits.length; i++) {
    bits[at++] = digit >> 3;
    bits[at++] = (digit >> 2) & 1;
    bits[at++] = (digit >> 1) & 1;
    bits[at++] = digit & 1;
    const code = digits.charCodeAt(i);
    // '0' to '9' are 48 to 57, 'a' to 'f' are 97 to 102.
    digit = code < 97 ? code - 48 : code - 87;
  }
  return at;
}

const MAX_SEQ_BITS = (MAX_SEQ_DIGITS + 1) * BITS_A_DIGIT;

/** The place of a `seq` below its room. */
export function seqPath(seq: number): Path {
  const bits = new Uint8Array(MAX_SEQ_BITS);
  return bits.subarray(0, writeSeqPath(seq, bits));
}

/** A person's trees, or their branches of one room, by generation. */
export type Trees = ReadonlyMap<number, Tree>;

/** A person's row of the vault, opened. */
export interface Person {
  readonly owner: UserId;
  readonly version: number;
  readonly own: DataKey;
  /** Makes the places of rooms in the trees. */
  readonly salt: Buffer;
  readonly trees: Trees;
}

/** Makes the root of a new tree. */
export const newRoot = (): string => randomBytes(NODE_BYTES).toString('latin1');

/** Adds to a room's trees those that it lacks: branches of `roots` at `path`. Undefined if one of these was cut out. */
export function addBranches(room: Trees, roots: Trees, path: Path): Trees | undefined {
  const trees = new Map(room);
  for (const [generation, root] of roots) {
    if (trees.has(generation)) continue;
    const branch = branchAt(root, path);
    if (branch === null) return undefined;
    trees.set(generation, branch);
  }
  return trees;
}

/** Every tree without the branches at these paths. What has lost nothing stays the same object. */
export function cutOutOfEach(trees: Trees, paths: readonly Path[]): Trees {
  const left = (tree: Tree): Tree => paths.reduce<Tree>((rest, path) => cutOut(rest, path), tree);
  return new Map([...trees].map(([generation, tree]) => [generation, left(tree)]));
}

/** A range of `seq` whose keys are gone, both ends inclusive. */
export type SeqRange = readonly [from: number, to: number];

/** The ranges that were cut out of a room's tree, in ascending order. */
export function listCutOut(tree: Tree): SeqRange[] {
  const ranges: SeqRange[] = [];
  const visit = (part: Tree, bits: readonly number[]): void => {
    if (part === null) ranges.push(seqsBelow(bits));
    else if (typeof part !== 'string') {
      visit(part.left, [...bits, 0]);
      visit(part.right, [...bits, 1]);
    }
  };
  visit(tree, []);
  return ranges;
}

/** The `seq`s whose paths begin with these bits: see `writeSeqPath`. */
function seqsBelow(bits: readonly number[]): SeqRange {
  const digits = (upTo: 0 | 1): number => {
    const filled = [...bits, ...new Array<number>(MAX_SEQ_BITS).fill(upTo)];
    const number = (from: number, length: number) =>
      filled.slice(from, from + length).reduce((sum, bit) => sum * 2 + bit, 0);
    const length = Math.min(MAX_SEQ_DIGITS, number(0, BITS_A_DIGIT));
    return number(BITS_A_DIGIT, length * BITS_A_DIGIT);
  };
  return [digits(0), digits(1)];
}

/** Whether one holds a generation, or a branch of it, that the other does not. */
export const differ = (a: Trees, b: Trees): boolean =>
  a.size !== b.size || [...a].some(([generation, tree]) => b.get(generation) !== tree);

const GONE = 0;
const WHOLE = 1;
const HALVES = 2;
const HEAD_BYTES = 9;

/** For each generation its number, the lengths of both parts, the shape (2 bits a node) and the keys, depth first. */
export function encodeTrees(trees: Trees): Buffer {
  return Buffer.concat(
    [...trees].flatMap(([generation, tree]) => {
      const [shape, keys]: [number[], string[]] = [[], []];
      const visit = (part: Tree): void => {
        shape.push(part === null ? GONE : typeof part === 'string' ? WHOLE : HALVES);
        if (typeof part === 'string') keys.push(part);
        else if (part !== null) {
          visit(part.left);
          visit(part.right);
        }
      };
      visit(tree);
      const packed = Buffer.alloc(Math.ceil(shape.length / 4));
      // Each byte was made with the buffer: an index below its length.
      for (const [i, code] of shape.entries())
        packed[i >> 2] = (packed[i >> 2] ?? 0) | (code << (2 * (i & 3)));
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt8(generation, 0);
      head.writeUInt32BE(packed.length, 1);
      head.writeUInt32BE(keys.length * NODE_BYTES, 5);
      return [head, packed, Buffer.from(keys.join(''), 'latin1')];
    }),
  );
}

/** Reads what `encodeTrees` wrote. */
export function decodeTrees(encoded: Uint8Array): Map<number, Tree> {
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const trees = new Map<number, Tree>();
  for (let at = 0; at < bytes.length; ) {
    const shapeAt = at + HEAD_BYTES;
    let key = shapeAt + bytes.readUInt32BE(at + 1);
    const end = key + bytes.readUInt32BE(at + 5);
    let node = 0;
    const read = (): Tree => {
      const code = (bytes.readUInt8(shapeAt + (node >> 2)) >> (2 * (node & 3))) & 3;
      node++;
      if (code === GONE) return null;
      if (code === HALVES) return { left: read(), right: read() };
      key += NODE_BYTES;
      return bytes.toString('latin1', key - NODE_BYTES, key);
    };
    trees.set(bytes.readUInt8(at), read());
    at = end;
  }
  return trees;
}

// Shared by all walks, because each use ends in the turn in which it began. An array of each walk takes 200 bytes.
const wanted = new Uint8Array(MAX_SEQ_BITS);
const walked = new Uint8Array(MAX_SEQ_BITS);

/**
 * Finds the node of a `seq`, and keeps the nodes on the way for the next: a neighbour costs one hash on average. Takes
 * 4 KB of memory.
 */
class Walk {
  /** The branches along the path of `#last`, expanded, up to the depth of the end of this list. */
  readonly #branches: Tree[];
  #last = 0;

  constructor(root: Tree) {
    this.#branches = [root];
  }

  nodeOf(seq: number): string | undefined {
    const branches = this.#branches;
    const length = writeSeqPath(seq, wanted);
    const common = Math.min(length, writeSeqPath(this.#last, walked), branches.length - 1);
    let depth = 0;
    while (depth < common && wanted[depth] === walked[depth]) depth++;
    branches.length = depth + 1;
    this.#last = seq;
    for (; depth < length; depth++) {
      const branch = branches[depth] ?? null;
      if (branch === null) return undefined;
      const halves = typeof branch === 'string' ? halve(branch) : branch;
      branches[depth] = halves;
      branches.push(wanted[depth] === 0 ? halves.left : halves.right);
    }
    const found = branches[depth];
    // Nothing is cut below a `seq`, so that its node is a key or gone.
    return typeof found === 'string' ? found : undefined;
  }
}

/** What the keys of a room take beside their bytes, and how many bytes of memory a byte takes (measured). */
const OVERHEAD_BYTES = 5_000;
const MEMORY_OF_A_BYTE = 4;

/** The keys of one writer's texts in one room. Immutable bytes, so that they can cross threads. */
export class RoomKeys {
  readonly bytes: Uint8Array;
  /** The generation that new texts are sealed in. */
  readonly generation: number;
  readonly #walks = new Map<number, Walk>();

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    for (const [generation, tree] of decodeTrees(bytes)) this.#walks.set(generation, new Walk(tree));
    this.generation = Math.max(...this.#walks.keys());
  }

  static from(bytes: Uint8Array): RoomKeys {
    return new RoomKeys(bytes);
  }

  /** About how much memory they take, for caches that are bounded by it. */
  get memoryBytes(): number {
    return MEMORY_OF_A_BYTE * this.bytes.length + OVERHEAD_BYTES;
  }

  /** The key of one revision; undefined if this text was destroyed. Throws `CipherError` for an unknown generation. */
  keyOf(generation: number, seq: number, rev: number): DataKey | undefined {
    const walk = this.#walks.get(generation);
    if (!walk) throw new CipherError(`the keys of this room have no generation ${generation}`);
    const node = walk.nodeOf(seq);
    if (node === undefined) return undefined;
    leafInput.write(node, LEAF_PREFIX.length, 'latin1');
    leafInput.writeUIntBE(rev, LEAF_PREFIX.length + NODE_BYTES, 6);
    const key = hash('sha256', leafInput, 'buffer');
    leafInput.fill(0, LEAF_PREFIX.length);
    return key;
  }
}

/** The place of a text among its writer's texts in a room. */
type PlaceInRoom = Pick<TextPlace, 'seq' | 'rev'>;

/** The key of this text was destroyed: nothing can be sealed in its place. */
export class TextDestroyed extends Error {
  override readonly name = 'TextDestroyed';
}

/** Seals a text with its own key. Throws `TextDestroyed` if the key is gone. */
export function sealText(keys: RoomKeys, { seq, rev }: PlaceInRoom, text: string, context: string): Sealed {
  const { generation } = keys;
  const key = keys.keyOf(generation, seq, rev);
  if (!key) throw new TextDestroyed(`the key of message ${seq} was destroyed`);
  return sealBytes(key, text, context, Buffer.of(generation)).toString('base64');
}

/** Null: the text was destroyed. Throws `CipherError` for what `sealText` did not make for this place and context. */
export function openText(
  keys: RoomKeys,
  { seq, rev }: PlaceInRoom,
  sealed: Sealed,
  context: string,
): string | null {
  const bytes = Buffer.from(sealed, 'base64');
  const [generation] = bytes;
  if (generation === undefined) throw new CipherError('the sealed text is empty');
  const key = keys.keyOf(generation, seq, rev);
  return key ? openBytes(key, bytes.subarray(1), context) : null;
}

/** Whether the key of this sealed text was destroyed. */
export function isTextDestroyed(keys: RoomKeys, { seq, rev }: PlaceInRoom, sealed: Sealed): boolean {
  const [generation] = Buffer.from(sealed.slice(0, 4), 'base64');
  if (generation === undefined) throw new CipherError('the sealed text is empty');
  return keys.keyOf(generation, seq, rev) === undefined;
}

/** Names a `WriterInRoom`. */
export const roomKeysId = ({ owner, roomId }: WriterInRoom): string => `${owner}/${roomId}`;

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The first byte of a sealed text. Decodes two characters, which is several times as fast as a buffer. */
export const generationOf = (text: Sealed): number =>
  (BASE64.indexOf(text.charAt(0)) << 2) | (BASE64.indexOf(text.charAt(1)) >> 4);
