import { type RoomId, type StreamName, streamOf, type UserId } from '../events/ids.js';
import type { Time } from '../events/types.js';
import { type ChatRow, chatsModel, chatsProjection } from '../projections/chats/model.js';
import { friendshipsModel, friendshipsProjection } from '../projections/friendships/model.js';
import { presenceProjection } from '../projections/presence/model.js';
import type { Row, RowReader } from '../projections/rows.js';
import { rowsUnder } from '../projections/scan.js';
import { statesModel, statesProjection } from '../projections/states/model.js';
import { usersModel, usersProjection } from '../projections/users/model.js';
import { eventsUntil } from './pastEvents.js';
import { PastRows } from './pastRows.js';
import type { StreamSource } from './streamCommits.js';

/** Streams that are read at once. */
const AT_ONCE = 16;

/** Where the past of users is read; the rows tell only where to look. */
export interface UserSource extends StreamSource {
  readonly rows: RowReader;
}

/** A room, but for what was said in it. */
export interface PastRoom {
  readonly roomId: RoomId;
  readonly roomType: 'PRIVATE';
  readonly memberIds: readonly UserId[];
  readonly createdAt: Time;
}

/** What stays true of a room. */
export const roomOf = ({ roomId, members, createdAt }: ChatRow): PastRoom => ({
  roomId,
  roomType: 'PRIVATE',
  memberIds: members,
  createdAt,
});

// Names are for the search, which nobody does in the past.
const profiles = usersProjection({ usernames: async () => [] });

/** Profile, presence and decider's state of a user at a time, of their own stream. */
export async function userRows(source: StreamSource, userId: UserId, time: Time): Promise<PastRows> {
  const rows = new PastRows([profiles, presenceProjection, statesProjection]);
  for await (const event of eventsUntil(source, streamOf('user', userId), { time })) rows.fold(event);
  return rows;
}

/** Who were friends of the user, by id; one who had been erased by then was none. */
export async function friendsAt(source: UserSource, userId: UserId, time: Time): Promise<UserId[]> {
  const { rows } = source;
  const friendAt = async ({ key }: Row<unknown>): Promise<UserId | undefined> => {
    const then = new PastRows([friendshipsProjection]);
    for await (const event of eventsUntil(source, streamNamed(key), { time })) then.fold(event);
    const friend = then.get(friendshipsModel, key)?.members.find((member) => member !== userId);
    if (friend === undefined) return undefined;
    const now = (await rows.get(usersModel, [friend])).get(friend)?.value;
    return now?.erased && (await wasErased(source, friend, time)) ? undefined : friend;
  };
  return (await each(rowsUnder(rows, friendshipsModel, 'member', userId), friendAt)).sort();
}

/** The rooms that were active for the user, by id. */
export async function roomsAt(source: UserSource, userId: UserId, time: Time): Promise<PastRoom[]> {
  const { rows, log } = source;
  const roomAt = async ({ key }: Row<unknown>): Promise<PastRoom | undefined> => {
    const then = new PastRows([chatsProjection]);
    for await (const event of eventsUntil(source, streamNamed(key), { time })) {
      then.fold(event);
      const chat = then.get(chatsModel, key);
      // What follows is what was said.
      if (chat?.active[userId] !== undefined) return roomOf(chat);
    }
    return undefined;
  };
  const found: PastRoom[] = [];
  for (let partition = 0; partition < log.partitions; partition++)
    found.push(...(await each(rowsUnder(rows, chatsModel, 'changed', `${userId}/${partition}`), roomAt)));
  return found.sort((a, b) => (a.roomId < b.roomId ? -1 : 1));
}

async function wasErased(source: StreamSource, userId: UserId, time: Time): Promise<boolean> {
  const rows = await userRows(source, userId, time);
  const state = rows.get(statesModel, streamOf('user', userId))?.state;
  return state !== undefined && 'erased' in state && state.erased === true;
}

// Rows of friendships and chats have their streams' names as keys.
const streamNamed = (key: string): StreamName => key as StreamName;

async function each<R, T>(
  pages: AsyncIterable<readonly Row<R>[]>,
  work: (row: Row<R>) => Promise<T | undefined>,
): Promise<T[]> {
  const found: T[] = [];
  for await (const page of pages)
    for (let at = 0; at < page.length; at += AT_ONCE)
      for (const one of await Promise.all(page.slice(at, at + AT_ONCE).map(work)))
        if (one !== undefined) found.push(one);
  return found;
}
