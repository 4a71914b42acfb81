import type { Moment } from '../domain/commands.js';
import type { StreamName, UserId } from '../domain/ids.js';
import type { User } from '../domain/shapes.js';
import { partitionOf } from '../log/log.js';
import { changedStreams, MissedEventReader, type ReplayedLog } from './missedEvents.js';
import { chatsModel } from './models/chats.js';
import {
  activeChats,
  chatRow,
  presentChats,
  presentMessages,
  type Source,
  talkedWith,
  usersById,
} from './models/chatViews.js';
import { friendIds, friendshipsModel, openedErased, searchUsers } from './models/friendships.js';
import { messagePage, messagesModel } from './models/messages.js';
import { onlineUsers, presenceModel, presenceOf } from './models/presenceModel.js';
import { streamsModel } from './models/streamIndex.js';
import { rolesModel, usersModel } from './models/userModels.js';
import type { Progress, Queries } from './queries.js';

const users = usersModel.name;
const friendships = friendshipsModel.name;
const chats = chatsModel.name;
const messages = messagesModel.name;
const presence = presenceModel.name;
const roles = rolesModel.name;
/** What a replay reads: the index of streams, and the newest read marks. */
const replayed = [streamsModel.name, chats, users];

/** What the queries read: rows, what opens them, and how far they have got. */
interface QueriesOptions extends Source {
  readonly progress: Pick<Progress, 'reached'>;
  readonly log: ReplayedLog;
}

/** The queries over any row store; each waits only for the models it reads. */
export function createQueries({ progress, log, ...source }: QueriesOptions): Queries {
  const missed = new MissedEventReader(source.rows, log);
  const { rows, open } = source;
  const reached = async (models: readonly string[], at: readonly Moment[]): Promise<void> => {
    await Promise.all(at.flatMap((moment) => models.map((model) => progress.reached(model, moment))));
  };
  return {
    async users(ids, at) {
      await reached([users], at);
      return usersById(source, ids);
    },
    async friends(userId, at) {
      await reached([friendships, users], at);
      const friends: User[] = [];
      for await (const ids of friendIds(rows, userId))
        friends.push(...(await usersById(source, ids)).values());
      return friends.filter((friend) => friend.erased !== true);
    },
    async search(me, q, limit, at) {
      await reached([users, friendships], at);
      return searchUsers(source, me, q, limit);
    },
    async activeChats(userId, page, at) {
      await reached([chats, users], at);
      return activeChats(source, userId, page);
    },
    async chat(roomId, userId, at) {
      await reached([chats, users], at);
      const chat = await chatRow(rows, roomId);
      if (!chat?.members.includes(userId)) return undefined;
      return (await presentChats(source, userId, [chat]))[0];
    },
    async members(roomId, at) {
      await reached([chats], at);
      return (await chatRow(rows, roomId))?.members;
    },
    async activeFor(roomId, at) {
      await reached([chats], at);
      return Object.keys((await chatRow(rows, roomId))?.active ?? {});
    },
    async messages(roomId, page, at) {
      await reached([messages], at);
      const found = await messagePage(rows, roomId, page);
      return { messages: await presentMessages(open, found.messages), hasMore: found.hasMore };
    },
    async isAuditor(userId, at) {
      await reached([roles], at);
      return (await rows.get(rolesModel, [userId])).get(userId)?.value?.isAuditor ?? false;
    },
    async contacts(userId, at) {
      await reached([friendships, chats], at);
      const contacts = new Set<UserId>();
      for await (const ids of friendIds(rows, userId)) for (const id of ids) contacts.add(id);
      for await (const ids of talkedWith(rows, userId)) for (const id of ids) contacts.add(id);
      return contacts;
    },
    async presence(ids, at) {
      await reached([presence], at);
      return presenceOf(rows, ids);
    },
    openedErased: () => openedErased(source),
    online: (limit, after) => onlineUsers(rows, limit, after),
    async changedStreams(userId, partition, above, page, at) {
      await reached([friendships, chats], at);
      return changedStreams(rows, userId, partition, above, page);
    },
    async missedEvents(userId, key, range, limit) {
      // A replay's keys are stream names; all up to `upTo` must be in every model that is read.
      const stream = key as StreamName;
      const partition = partitionOf(stream, log.partitions);
      await reached(replayed, [{ partition, size: range.upTo + 1 }]);
      return missed.of(userId, stream, range, limit);
    },
  };
}
