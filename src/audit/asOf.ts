import { notFound } from '../errors.js';
import { type RoomId, streamOf, type UserId } from '../events/ids.js';
import type { Message, OnlineInfo, User } from '../events/schemas.js';
import type { Time } from '../events/types.js';
import { type ChatRow, chatsModel, chatsProjection } from '../projections/chats/model.js';
import { messagesModel, messagesProjection } from '../projections/messages/model.js';
import { presenceModel } from '../projections/presence/model.js';
import { knownUsers, type Opens, presentMessages, presentUsers } from '../projections/present.js';
import { usersModel } from '../projections/users/model.js';
import { type At, eventsUntil } from './pastEvents.js';
import { friendsAt, type PastRoom, roomOf, roomsAt, type UserSource, userRows } from './pastOfUser.js';
import { PastRows } from './pastRows.js';

/** A room with all that was said in it, as it was. */
export interface RoomThen {
  readonly room: PastRoom;
  readonly members: readonly User[];
  readonly messages: readonly Message[];
  readonly readUpTo: ChatRow['marks'];
}

/** A user as they were; the rooms are those that were active for them. */
export interface UserThen extends OnlineInfo {
  readonly user: User;
  readonly friends: readonly User[];
  readonly rooms: readonly PastRoom[];
}

/**
 * Where the past is read, and what opens names and texts: as their keys are now, whatever was then. The read models of
 * users, friendships and chats must have folded what is asked for.
 */
export interface PastSource extends UserSource {
  readonly open: Opens;
}

/**
 * A room at some time, folded from the log by the folds that run live. Rejects as `not_found` if there was no such
 * room, or not yet so many messages.
 */
export async function roomThen(source: PastSource, roomId: RoomId, at: At): Promise<RoomThen> {
  const stream = streamOf('room', roomId);
  const rows = new PastRows([chatsProjection, messagesProjection]);
  for await (const event of eventsUntil(source, stream, at)) rows.fold(event);
  const chat = rows.get(chatsModel, stream);
  if (!chat) throw notFound('there was no such room');
  if ('seq' in at && chat.lastMessage?.seq !== at.seq) throw notFound('there is no such message');
  return {
    room: roomOf(chat),
    members: await knownUsers(source, chat.members),
    messages: await presentMessages(source.open, rows.values(messagesModel)),
    readUpTo: chat.marks,
  };
}

/** The same of a user. */
export async function userThen(source: PastSource, userId: UserId, time: Time): Promise<UserThen> {
  const rows = await userRows(source, userId, time);
  const row = rows.get(usersModel, userId);
  const [user] = row ? await presentUsers(source.open, [row]) : [];
  if (!user) throw notFound('there was no such user');
  const { isOnline, lastSeen } = rows.get(presenceModel, userId) ?? { isOnline: false, lastSeen: null };
  const friendIds = await friendsAt(source, userId, time);
  return {
    user,
    friends: await knownUsers(source, friendIds),
    rooms: await roomsAt(source, userId, time),
    isOnline,
    lastSeen,
  };
}
