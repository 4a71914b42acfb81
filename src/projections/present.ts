import { overloaded } from '../errors.js';
import { openedMessage, type SealedMessage } from '../events/changes.js';
import type { UserId } from '../events/ids.js';
import type { Chat, Message, User } from '../events/schemas.js';
import type { Opener } from '../vault/opener.js';
import { type ChatRow, lastSeqOf } from './chats/model.js';
import type { RowReader } from './rows.js';
import { elementAt, valuesOf } from './scan.js';
import { type UserRow, usersModel } from './users/model.js';

/** What opens names and texts. */
export type Opens = Pick<Opener, 'messages' | 'usernames'>;

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
