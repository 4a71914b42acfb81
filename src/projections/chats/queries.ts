import { crc32 } from 'node:zlib';
import { badRequest } from '../../errors.js';
import { type RoomId, streamOf, type UserId } from '../../events/ids.js';
import type { Chat } from '../../events/schemas.js';
import { presentChats, type Source } from '../present.js';
import type { RowReader } from '../rows.js';
import { rowsUnder, valuesOf } from '../scan.js';
import { activityOf, type ChatRow, chatsModel } from './model.js';

/** Where a page of chats ended: goes on behind it. */
interface PageEnd {
  readonly sort: number;
  readonly key: string;
}

/** A page of the chats active for the user, newest activity first; throws `bad_request` for an altered `next`. */
export async function activeChats(
  source: Source,
  userId: UserId,
  { limit, next }: { limit: number; next?: string },
): Promise<{ chats: Chat[]; next?: string }> {
  const found = await source.rows.find(chatsModel, 'activity', {
    terms: [userId],
    reverse: true,
    limit: limit + 1,
    ...(next === undefined ? {} : { from: parseNext(next) }),
  });
  const page = valuesOf(found.slice(0, limit));
  const chats = await presentChats(source, userId, page);
  const last = page.at(-1);
  if (found.length <= limit || last === undefined) return { chats };
  return { chats, next: writeNext({ sort: activityOf(last), key: streamOf('room', last.roomId) }) };
}

/** The chat's row; undefined if there is no such room. */
export async function chatRow(rows: RowReader, roomId: RoomId): Promise<ChatRow | undefined> {
  const key = streamOf('room', roomId);
  return (await rows.get(chatsModel, [key])).get(key)?.value ?? undefined;
}

/** Those with whom the user shares a chat that has a message, a page at a time. */
export async function* talkedWith(rows: RowReader, userId: UserId): AsyncGenerator<UserId[]> {
  for await (const page of rowsUnder(rows, chatsModel, 'talked', userId))
    yield valuesOf(page).flatMap(({ members }) => members.filter((member) => member !== userId));
}

function writeNext({ sort, key }: PageEnd): string {
  const body = Buffer.from(`${sort.toString(36)}/${key}`).toString('base64url');
  return `${body}.${crc32(body).toString(36)}`;
}

function parseNext(text: string): PageEnd {
  const [body = '', checksum, ...rest] = text.split('.');
  const [activity = '', key] = Buffer.from(body, 'base64url').toString().split('/');
  const sort = Number.parseInt(activity, 36);
  const isWhole = rest.length === 0 && crc32(body).toString(36) === checksum;
  if (isWhole && key !== undefined && Number.isSafeInteger(sort)) return { sort, key };
  const message = 'is not one that a page of chats ended with';
  throw badRequest(`next ${message}`, [{ path: 'next', message }]);
}
