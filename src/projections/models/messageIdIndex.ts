import { hash } from 'node:crypto';
import type { Digest } from '../../base/collections.js';
import { decodeLeaf, eventTest } from '../../domain/codec.js';
import type { Recorded } from '../../domain/events.js';
import type { MessageRef } from '../../domain/ids.js';
import { messageTerm } from '../../domain/messages/sealedMessages.js';
import type { Commit } from '../../log/log.js';
import type { Projection } from '../projection.js';
import type { Model, Row } from '../store/rowStore.js';

/**
 * A message id's name in the index of ids: 132 bits of SHA-256 over id and room, in base64url. Two ids of one name
 * cannot be found, so that one event makes each row.
 */
export const messageIdHash = (ref: MessageRef): string =>
  hash('sha256', messageTerm(ref), 'base64url').slice(0, 22);

/**
 * The index of ids is divided by the offsets of events, so that a batch of new ids changes pages of one division
 * only, however large the index is.
 */
const DIVISION_EVENTS = 2 ** 15;

const divisionKey = (division: number, idHash: string): string => `${division.toString(36)}/${idHash}`;

/** The index of message ids: the `seq` of each message, under its division and `messageIdHash`. */
export const messageIdsModel: Model<number> = { name: 'messageIds', version: 1, indexes: {} };

/** Folds the index of ids. An id is no secret: it stays when its message is deleted. */
export const messageIdsProjection: Projection<number> = {
  model: messageIdsModel,
  keys: (event) =>
    event.type === 'MessageSent'
      ? [divisionKey(Math.floor(event.offset / DIVISION_EVENTS), messageIdHash(event.data))]
      : [],
  creates: (event) => event.type === 'MessageSent',
  evolve: (value, event) => (event.type === 'MessageSent' ? event.data.seq : (value ?? null)),
  isRarelyChanged: () => true,
};

/** The `messageIdHash` in a key of the index of ids. */
export const hashInKey = (key: string): string => key.slice(key.indexOf('/') + 1);

/** The keys that an id can have in the index, if it was used in one of the events from `from` to before `to`. */
export function messageIdKeys(idHash: string, from: number, to: number): string[] {
  const keys: string[] = [];
  for (let division = Math.floor(from / DIVISION_EVENTS); division * DIVISION_EVENTS < to; division++)
    keys.push(divisionKey(division, idHash));
  return keys;
}

/** The bounds of the rows of a division that holds the event at `offset`, and the offset behind the division. */
export function divisionAt(offset: number): { after: string; before: string; end: number } {
  const division = Math.floor(offset / DIVISION_EVENTS);
  // A hash is of letters, digits, - and _, which all sort before the tilde.
  const [after, before] = [divisionKey(division, ''), divisionKey(division, '~')];
  return { after, before, end: (division + 1) * DIVISION_EVENTS };
}

// Shared by all digests: each is made in one turn.
const input = Buffer.alloc(16);

/**
 * SipHash-2-4 of the first 16 characters of a text, each taken as one byte. Whoever does not know the key cannot
 * choose texts whose digests have anything in common.
 */
export class FilterKey {
  readonly #words: Int32Array;

  /** `bytes`: 16 random bytes. */
  constructor(readonly bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    this.#words = Int32Array.from([0, 4, 8, 12], (at) => view.getInt32(at, true));
  }

  digest(text: string): Digest {
    const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = this.#words;
    if (text.length < 16) input.fill(0);
    input.write(text, 0, 16, 'latin1');
    // Each of the four words of 64 bits is a low and a high half.
    let [a, A, b, B] = [k0 ^ 0x70736575, k1 ^ 0x736f6d65, k2 ^ 0x6e646f6d, k3 ^ 0x646f7261];
    let [c, C, d, D] = [k0 ^ 0x6e657261, k1 ^ 0x6c796765, k2 ^ 0x79746573, k3 ^ 0x74656462];
    // Three blocks of two rounds: 8 characters, 8 characters, and the length. Then four rounds.
    let [m, M] = [0, 0];
    for (let round = 0; round < 10; round++) {
      if ((round & 1) === 0 && round <= 6) {
        a ^= m;
        A ^= M;
        if (round < 4) [m, M] = [input.readInt32LE(round * 4), input.readInt32LE(round * 4 + 4)];
        else [m, M] = round === 4 ? [0, 16 << 24] : [0, 0];
        d ^= m;
        D ^= M;
        if (round === 6) c ^= 0xff;
      }
      let low = (a >>> 0) + (b >>> 0);
      A = (A + B + (low > 0xffffffff ? 1 : 0)) | 0;
      a = low | 0;
      [b, B] = [((b << 13) | (B >>> 19)) ^ a, ((B << 13) | (b >>> 19)) ^ A];
      [a, A] = [A, a];
      low = (c >>> 0) + (d >>> 0);
      C = (C + D + (low > 0xffffffff ? 1 : 0)) | 0;
      c = low | 0;
      [d, D] = [((d << 16) | (D >>> 16)) ^ c, ((D << 16) | (d >>> 16)) ^ C];
      low = (a >>> 0) + (d >>> 0);
      A = (A + D + (low > 0xffffffff ? 1 : 0)) | 0;
      a = low | 0;
      [d, D] = [((d << 21) | (D >>> 11)) ^ a, ((D << 21) | (d >>> 11)) ^ A];
      low = (c >>> 0) + (b >>> 0);
      C = (C + B + (low > 0xffffffff ? 1 : 0)) | 0;
      c = low | 0;
      [b, B] = [((b << 17) | (B >>> 15)) ^ c, ((B << 17) | (b >>> 15)) ^ C];
      [c, C] = [C, c];
    }
    return { low: a ^ b ^ c ^ d, high: A ^ B ^ C ^ D };
  }
}

/** Bits set for an id. With 16 bits an id, eleven give the fewest false positives: 0.05%. */
const BITS_SET = 11;
const BITS_AN_ID = 16;
/** The sizes of a filter, in bytes: a small log has a small filter. */
const FILTER_BYTES = [2 ** 12, 2 ** 15, 2 ** 18, 2 ** 21] as const;
const MOST_FILTER_BYTES = 2 ** 21;

/** The size in bytes of a filter for this number of ids, at most 2^20. */
export const filterBytesFor = (ids: number): number =>
  FILTER_BYTES.find((bytes) => filterCapacity(bytes) >= ids) ?? MOST_FILTER_BYTES;

/** The number of ids up to which a filter of this size has at most 0.05% of false positives. */
export const filterCapacity = (bytes: number): number => (bytes * 8) / BITS_AN_ID;

/** A Bloom filter of ids. It answers "no" only for an id that was never added. */
export class IdFilter {
  readonly #mask: number;

  /** `bits`: a power of two of bytes. */
  constructor(
    readonly key: FilterKey,
    readonly bits: Uint8Array,
  ) {
    this.#mask = bits.length * 8 - 1;
  }

  add({ low, high }: Digest): void {
    for (let i = 0, [at, step] = [low, high | 1]; i < BITS_SET; i++) {
      const bit = at & this.#mask;
      this.bits[bit >>> 3] = (this.bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
      at = (at + step) | 0;
      step = (step + i) | 0;
    }
  }

  mayHave({ low, high }: Digest): boolean {
    for (let i = 0, [at, step] = [low, high | 1]; i < BITS_SET; i++) {
      const bit = at & this.#mask;
      if (((this.bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
      at = (at + step) | 0;
      step = (step + i) | 0;
    }
    return true;
  }
}

/** A segment is the filter of the ids in this many events of a partition. */
export const SEGMENT_EVENTS = 2 ** 20;

/** A stored filter: the ids of a segment that were sent before the event at `upTo`. */
export interface StoredFilter {
  /** Random, in base64. Whoever reads it may choose ids that cost a read each, and nothing else. */
  readonly key: string;
  readonly ids: number;
  readonly upTo: number;
  /** In base64. */
  readonly bits: string;
  /** Covers all fields, the place and the log. */
  readonly sum: string;
}

/** The filters of ids. They follow from the index of ids, so that a missing or damaged one is made again. */
export const messageIdFiltersModel: Model<StoredFilter> = {
  name: 'messageIdFilters',
  version: 1,
  largeRows: true,
  indexes: {},
};

/**
 * The ids that are to be added to the filters. Its rows are those of the index of ids; they are not stored, but
 * make the rows of filters.
 */
export const filteredIdsProjection: Projection<number> = {
  ...messageIdsProjection,
  model: { ...messageIdFiltersModel, indexes: {} },
};

/** A segment of one log. */
export interface FilterPlace {
  readonly logId: string;
  readonly partition: number;
  /** 0, 1, 2 … */
  readonly segment: number;
}

/** The key of a filter's row. */
export const filterRowKey = ({ partition, segment }: Omit<FilterPlace, 'logId'>): string =>
  `${partition}/${segment}`;

const sumOf = (
  { logId, partition, segment }: FilterPlace,
  { key, ids, upTo, bits }: Omit<StoredFilter, 'sum'>,
) => hash('sha256', JSON.stringify([logId, partition, segment, key, ids, upTo, bits]), 'base64');

/** The row of a filter that holds `ids` ids, all that were sent before `upTo`. */
export function filterRow(
  place: FilterPlace,
  filter: IdFilter,
  { ids, upTo }: Pick<StoredFilter, 'ids' | 'upTo'>,
): Row<StoredFilter> {
  const base64 = (bytes: Uint8Array) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
  const fields = { key: base64(filter.key.bytes), ids, upTo, bits: base64(filter.bits) };
  const value = { ...fields, sum: sumOf(place, fields) };
  return { key: filterRowKey(place), partition: place.partition, offset: upTo - 1, value };
}

/** A filter that was read from its row. */
export interface ReadFilter extends Pick<StoredFilter, 'ids' | 'upTo'> {
  readonly filter: IdFilter;
}

/** Reads the filter of a row. Returns undefined if the row is damaged, of another place or of another log. */
export function readFilter(place: FilterPlace, row: Row<StoredFilter> | undefined): ReadFilter | undefined {
  const value = row?.value;
  if (!value || value.sum !== sumOf(place, value)) return undefined;
  const [key, bits] = [Buffer.from(value.key, 'base64'), Buffer.from(value.bits, 'base64')];
  const { ids, upTo } = value;
  return { filter: new IdFilter(new FilterKey(key), bits), ids, upTo };
}

const isMessage = eventTest('MessageSent');

/** The messages of a commit, each with its leaf. Other leaves are not decoded. */
export function messagesIn({
  partition,
  firstOffset,
  leaves,
}: Pick<Commit, 'partition' | 'firstOffset' | 'leaves'>): { event: Recorded<'MessageSent'>; leaf: string }[] {
  return leaves.flatMap((leaf, i) => {
    if (!isMessage(leaf)) return [];
    const event = decodeLeaf(leaf, partition, firstOffset + i);
    return event.type === 'MessageSent' ? [{ event, leaf }] : [];
  });
}
