import type { Hash } from '../log/log.js';
import { leafHash, perfectRoot, rootOf, TILE } from '../log/merkle.js';

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
      if (at.hashes.length < TILE) return filled;
      filled.push({ level, index: at.full, hashes: at.hashes });
      hash = perfectRoot(at.hashes);
      this.#levels[level] = { full: at.full + 1, hashes: [] };
    }
  }

  /** The tiles at the right edge that are begun and not full, the lowest first. */
  partial(): Tile[] {
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
  for (let from = 0, width = TILE; width >= 1; width /= 2)
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
  return `${level}/${pathNumber(index)}${width < TILE ? `.p/${width}` : ''}`;
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
