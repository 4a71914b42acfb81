import { crc32 } from 'node:zlib';
import { badRequest, overloaded } from '../../base/errors.js';
import type { SealedMessage } from '../../domain/define.js';
import { type RoomId, streamOf, type UserId } from '../../domain/ids.js';
import { openedMessage } from '../../domain/messages.js';
import type { Chat, Message, User } from '../../domain/shapes.js';
import type { TextOpener } from '../../vault/textOpener.js';
import { elementAt, type RowReader, rowsUnder, valuesOf } from '../store/rowStore.js';
import { activityOf, type ChatRow, chatsModel, lastSeqOf } from './chats.js';
import { type UserRow, usersModel } from './userModels.js';

/** What opens names and texts. */
export type Opens = Pick<TextOpener, 'messages' | 'usernames'>;

/** What is needed to show rows to people. */
export interface Source {
  readonly rows: RowReader;
  readonly open: Opens;
}

/** Opens the names of profiles, all at once, in their order; an erased one keeps all but the name. */
export async function presentUsers(open: Opens, users: readonly UserRow[]): Promise<User[]> {
  const names = await open.usernames(users);
  return users.map(({ userId, backgroundColor, createdAt, erased }, i) => {
    // The row may say so before the key is gone, or after.
    const username = erased ? null : elementAt(names, i);
    const user: User = { userId, username, backgroundColor, createdAt };
    return username === null ? { ...user, erased: true } : user;
  });
}

/** Opens messages, all at once, in their order. */
export async function presentMessages(open: Opens, messages: readonly SealedMessage[]): Promise<Message[]> {
  const texts = await open.messages(messages);
  return messages.map((message, i) => openedMessage(message, elementAt(texts, i)));
}

/** The profiles of those that exist, by id: one read of rows, one opening. */
export async function usersById({ rows, open }: Source, ids: readonly UserId[]): Promise<Map<UserId, User>> {
  if (ids.length === 0) return new Map();
  const found = await rows.get(usersModel, [...new Set(ids)]);
  const users = await presentUsers(open, valuesOf(found.values()));
  return new Map(users.map((user) => [user.userId, user]));
}

/** Profiles in the order asked, each of which must exist; `overloaded` while the model of users lacks one. */
export async function knownUsers(source: Source, ids: readonly UserId[]): Promise<User[]> {
  const users = await usersById(source, ids);
  return ids.map((id) => known(users, id));
}

/** Chats as `me` sees them: the profiles of all members and the last messages are joined in one read each. */
export async function presentChats(source: Source, me: UserId, chats: readonly ChatRow[]): Promise<Chat[]> {
  const [users, lastMessages] = await Promise.all([
    usersById(
      source,
      chats.flatMap((chat) => chat.members),
    ),
    presentMessages(
      source.open,
      chats.flatMap((chat) => chat.lastMessage ?? []),
    ),
  ]);
  const last = new Map(lastMessages.map((message) => [message.roomId, message]));
  return chats.map((chat) => ({
    roomId: chat.roomId,
    roomType: 'PRIVATE',
    participants: chat.members.map((member) => known(users, member)),
    lastMessage: last.get(chat.roomId) ?? null,
    unread: lastSeqOf(chat) - (chat.marks[me] ?? 0),
    readUpTo: { ...chat.marks },
    createdAt: chat.createdAt,
  }));
}

// Users and rooms are of different partitions: a profile may be folded after the chat that names it.
function known(users: ReadonlyMap<UserId, User>, id: UserId): User {
  const user = users.get(id);
  if (user === undefined) throw overloaded(`the profile of ${id} is not in the read model yet`);
  return user;
}

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
