import { LRUCache } from 'lru-cache';
import type { RoomId, TextPlace } from '../../domain/ids.js';

/** Short forms of ids, and the keys of messages' rows. */

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Short ids of rooms and senders. Few of them come again and again. */
const shortIds = new LRUCache<string, string>({ max: 10_000 });

/** A UUID in 22 characters instead of 36. Another text gets a `!` in front. */
export function shortId(id: string): string {
  const known = shortIds.get(id);
  if (known !== undefined) return known;
  const short = UUID.test(id) ? Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url') : `!${id}`;
  shortIds.set(id, short);
  return short;
}

/** The id that `shortId` made short. */
export function longId(short: string): string {
  if (short.startsWith('!')) return short.slice(1);
  const hex = Buffer.from(short, 'base64url').toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join('-');
}

/** The key of a room's message; keys of one room sort by `seq`. Any safe integer from 0 makes a bound. */
export function messageKey(roomId: RoomId, seq: number): string {
  const digits = seq.toString(36);
  // Base 36 gives at most eleven digits. Their count in front makes keys sort like numbers.
  return `${shortId(roomId)}/${digits.length.toString(36)}${digits}`;
}

/** The key of a text; those of one message sort by `rev`. */
export function editKey({ roomId, seq }: Omit<TextPlace, 'rev'>, rev: number): string {
  const digits = rev.toString(36);
  return `${messageKey(roomId, seq)}/${digits.length}${digits}`;
}

/** No message has this `seq`, so that it bounds the newest one. */
export const MAX_SEQ = Number.MAX_SAFE_INTEGER;
