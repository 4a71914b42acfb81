import type { Moment } from '../domain/commands.js';
import type { StreamName } from '../domain/ids.js';
import { partitionOf } from '../log/log.js';
import { changedStreams, MissedEventReader, type ReplayedLog } from './missedEvents.js';
import { activeChats, chatRow, chatsModel, contactIds, openChats } from './models/chatRows.js';
import { messagePage, messagesModel, openMessages } from './models/messageRows.js';
import { onlineUsers, presenceModel, presenceOf } from './models/presenceVisibility.js';
import { streamsModel } from './models/streamIndex.js';
import {
  hasAuditorRow,
  openedErased,
  rolesModel,
  usersById,
  usersModel,
  type ViewSource,
} from './models/userRows.js';
import { friendsOf, searchUsers } from './models/userSearch.js';
import type { Progress, Queries } from './queries.js';

const users = usersModel.name;
const chats = chatsModel.name;
const messages = messagesModel.name;
const presence = presenceModel.name;
const roles = rolesModel.name;
/** The models of a replay: the index of streams, and the newest read marks. */
const replayed = [streamsModel.name, chats, messages, users];

/** The rows that queries read, the opener of texts, and the progress of the models. */
interface QueriesOptions extends ViewSource {
  readonly progress: Pick<Progress, 'waitFor'>;
  readonly log: ReplayedLog;
}

/** Creates the queries over any row store. Each one waits only for the models that it reads. */
export function createQueries({ progress, log, ...source }: QueriesOptions): Queries {
  const missed = new MissedEventReader(source.rows, log);
  const { rows, open } = source;
  const waitFor = async (models: readonly string[], at: readonly Moment[]): Promise<void> => {
    await Promise.all(at.flatMap((moment) => models.map((model) => progress.waitFor(model, moment))));
  };
  return {
    async users(ids, at) {
      await waitFor([users], at);
      return usersById(source, ids);
    },
    async friends(userId, at) {
      await waitFor([chats, users], at);
      return friendsOf(source, userId);
    },
    async search(me, q, limit, at) {
      await waitFor([users, chats], at);
      return searchUsers(source, me, q, limit);
    },
    async activeChats(userId, page, at) {
      await waitFor([chats, users], at);
      return activeChats(source, userId, page);
    },
    async chat(roomId, userId, at) {
      await waitFor([chats, users], at);
      const chat = await chatRow(rows, roomId);
      if (!chat?.members.includes(userId)) return undefined;
      return (await openChats(source, userId, [chat]))[0];
    },
    async members(roomId, at) {
      await waitFor([chats], at);
      return (await chatRow(rows, roomId))?.members;
    },
    async activeFor(roomId, at) {
      await waitFor([chats], at);
      return Object.keys((await chatRow(rows, roomId))?.active ?? {});
    },
    async messages(roomId, page, at) {
      await waitFor([messages], at);
      const found = await messagePage(rows, roomId, page);
      return { messages: await openMessages(open, found.messages), hasMore: found.hasMore };
    },
    async isAuditor(userId, at) {
      await waitFor([roles], at);
      return hasAuditorRow(rows, userId);
    },
    async contacts(userId, at) {
      await waitFor([chats], at);
      return contactIds(rows, userId);
    },
    async presence(ids, at) {
      await waitFor([presence], at);
      return presenceOf(rows, ids);
    },
    openedErased: () => openedErased(source),
    online: (limit, after) => onlineUsers(rows, limit, after),
    async changedStreams(userId, partition, above, page, at) {
      await waitFor([chats], at);
      return changedStreams(rows, userId, partition, above, page);
    },
    async missedEvents(userId, key, range, limit) {
      // The key is a stream name. Every model that is read must have folded everything up to `upTo`.
      const stream = key as StreamName;
      const partition = partitionOf(stream, log.partitions);
      await waitFor(replayed, [{ partition, size: range.upTo + 1 }]);
      return missed.of(userId, stream, range, limit);
    },
  };
}
