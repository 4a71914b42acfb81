import { badRequest, notFound } from '../../base/errors.js';
import { entryBundle, TILE_WIDTH, tileBytes, tilePath } from '../../log/merkle.js';
import type { MerkleReader } from '../../projections/models/merkleTiles.js';
import type { SignedHead } from '../../vault/vault.js';
import type { Heads } from './heads.js';

/** A proof that an event is in the log. The signed head of `size` is enough to check it. */
export interface InclusionProof {
  readonly offset: number;
  readonly size: number;
  /** The stored bytes of the event, which are the leaf, in base64. */
  readonly entry: string;
  /** RFC 6962, base64, from the bottom up. */
  readonly hashes: readonly string[];
  /** The head of this size, if it is the newest. */
  readonly checkpoint?: string;
}

/** A proof that the log of `size` events extends the one of its first `from`. */
export interface ConsistencyProof {
  readonly from: number;
  readonly size: number;
  readonly hashes: readonly string[];
  readonly checkpoint?: string;
}

interface ProofParts {
  readonly merkleReader: MerkleReader;
  readonly heads: Heads;
}

/** Proofs, tiles and entry bundles, never of more than a signed head covers. */
export class Proofs {
  constructor(private readonly parts: ProofParts) {}

  /**
   * Proves inclusion in the newest head by default, or in the next one for an event beyond it. Rejects with
   * `overloaded` after 5 s.
   */
  async inclusion(partition: number, offset: number, asked?: number): Promise<InclusionProof> {
    if (asked !== undefined && offset >= asked)
      throw badRequest('the event lies beyond this size', [
        { path: 'offset', message: 'must be below size' },
      ]);
    const { heads, merkleReader } = this.parts;
    const head = await heads.headCovering(partition, asked ?? offset + 1);
    const size = asked ?? head.size;
    const { leaf, hashes } = await merkleReader.inclusion(partition, offset, size, head.position);
    return {
      offset,
      size,
      entry: Buffer.from(leaf).toString('base64'),
      hashes,
      ...checkpointOf(head, size),
    };
  }

  /** Proves consistency up to the newest head by default. */
  async consistency(partition: number, from: number, asked?: number): Promise<ConsistencyProof> {
    if (asked !== undefined && from > asked)
      throw badRequest('from must not be larger than size', [
        { path: 'from', message: 'must not be above size' },
      ]);
    const { heads, merkleReader } = this.parts;
    const head = await heads.headCovering(partition, asked ?? from);
    const size = asked ?? head.size;
    const hashes = await merkleReader.consistency(partition, from, size);
    return { from, size, hashes, ...checkpointOf(head, size) };
  }

  /**
   * A tile or an entry bundle by its path behind `tile/` (C2SP tlog-tiles). Throws `not_found` beyond the
   * newest head.
   */
  async tile(partition: number, path: string): Promise<Buffer> {
    const { level, index, width } = readPath(path);
    const { merkleReader, heads } = this.parts;
    const nodes = TILE_WIDTH ** (level === 'entries' ? 0 : level);
    const head = await heads.headCovering(partition, 0);
    if (index * TILE_WIDTH + width > Math.floor(head.size / nodes))
      throw notFound('the signed log has no such tile');
    if (level === 'entries')
      return entryBundle(await merkleReader.leaves(partition, index, width, head.position));
    const hashes = (await merkleReader.tile(partition, level, index)).slice(0, width);
    if (hashes.length < width) throw new RangeError(`tile ${path} of partition ${partition} is not folded`);
    return tileBytes({ level, index, hashes });
  }
}

const checkpointOf = ({ size, note }: SignedHead, of: number): { checkpoint?: string } =>
  size === of ? { checkpoint: note } : {};

const TILE_PATH = /^(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/;

/** Parses a tile's path. Throws `not_found` unless it is the canonical one. */
function readPath(path: string): { level: number | 'entries'; index: number; width: number } {
  const [, place = '', number = '', partial = String(TILE_WIDTH)] = TILE_PATH.exec(path) ?? [];
  const level = place === 'entries' ? place : Number(place);
  const [index, width] = [Number(number.replaceAll(/[x/]/g, '')), Number(partial)];
  const isTile = place !== '' && width > 0 && Number.isSafeInteger(index * TILE_WIDTH);
  if (!isTile || tilePath(level, index, width) !== path) throw notFound('this is not the path of a tile');
  return { level, index, width };
}
