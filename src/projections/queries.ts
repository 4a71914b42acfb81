import type { Moment } from '../domain/commands.js';
import type { ContactRule } from '../domain/defineCommand.js';
import type { SealedMessage } from '../domain/defineEvent.js';
import type { Time } from '../domain/fields.js';
import type { Window } from '../domain/groups/groupMembers.js';
import { type Period, windowsIn } from '../domain/groups/groupState.js';
import type { RoomId, StreamName, UserId } from '../domain/ids.js';
import type { Role, Ties } from '../domain/streams.js';
import type { Chat, Message, OnlineInfo, Preferences, User } from '../domain/userMessageChat.js';
import { PROFILE_FIELDS } from '../domain/users.js';
import { partitionOf } from '../log/log.js';
import { cutPage, type PageAsked } from './answerPages.js';
import { changedStreams } from './changedStreams.js';
import { type ChatPageAsked, chatPage, lastSentAt, openChat } from './chatPages.js';
import { groupMembersPage, membersByJoining, readersPage } from './groupQueries.js';
import { MissedEventReader, type ReplayedLog } from './missedEvents.js';
import { chatRow, chatRowOf } from './models/chatRows.js';
import { asOfOffset, type OpenedEdit, openEdits } from './models/editsAndMentions.js';
import { groupRows } from './models/groupRows.js';
import { type HappeningsAsked, happeningsPage } from './models/happeningRows.js';
import { membershipIn, membershipOf, membershipsOf, periodsOf } from './models/membershipRows.js';
import {
  messagePage,
  messagesAt,
  openMessages,
  type PageAround,
  type PageRequest,
  pageAround,
} from './models/messageRows.js';
import type { ChangedStream, MissedEvents, OffsetRange } from './models/streamIndex.js';
import { onlineUsers, openedErased, rolesOf, usersById, type ViewSource } from './models/userRows.js';
import { peopleQueries, type UserPageRequest, userPage } from './models/userSearch.js';
import type { Progress } from './queryWaits.js';

/**
 * The reads of the gateway and of HTTP, with opened texts and the same on both engines. Each one waits until
 * the read models have folded all of `at`, which may be empty. It rejects with `overloaded` after 5 s.
 */
export interface Queries {
  /** The users that exist, erased ones included. */
  users(ids: readonly UserId[], at: readonly Moment[]): Promise<Map<UserId, User>>;
  /** The user with what only their own devices are shown; undefined if there is none. */
  self(userId: UserId, at: readonly Moment[]): Promise<User | undefined>;
  /** A page of the user's friends. Erased ones are left out, so that it may hold fewer than `limit`. `next` as below. */
  friends(
    userId: UserId,
    page: PageAsked,
    at: readonly Moment[],
  ): Promise<{ friends: User[]; next?: string }>;
  /** A page of the users whom the user has blocked, erased ones too. `next` as below. */
  blocked(userId: UserId, page: PageAsked, at: readonly Moment[]): Promise<{ users: User[]; next?: string }>;
  /** Users by name as `searchUsers`: an exact match, then prefixes, then the rest. */
  search(me: UserId, q: string, limit: number, at: readonly Moment[]): Promise<User[]>;
  /**
   * The user's active chats, newest activity first: see `chatPage`. `next` is opaque; throws `bad_request` if it was
   * altered.
   */
  activeChats(
    userId: UserId,
    page: ChatPageAsked,
    at: readonly Moment[],
  ): Promise<{ chats: Chat[]; next?: string }>;
  /** See `lastSentAt`. */
  lastSentAt(userId: UserId): Promise<Time | undefined>;
  /** The chat as `userId` sees it; undefined unless the room exists and the user is a member. */
  chat(roomId: RoomId, userId: UserId, at: readonly Moment[]): Promise<Chat | undefined>;
  /** The members of a private room, who never change; undefined if there is no such room. */
  members(roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined>;
  /** Of groups. */
  readonly groups: GroupQueries;
  /** As `members`, for a member; for others undefined, after the same work as for no such room. */
  membersFor(userId: UserId, roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined>;
  /** The members for whom the chat is active; none if there is no such room. An active chat stays active. */
  activeFor(roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[]>;
  /** Messages in ascending `seq`, of a group those in the windows; `hasMore` is about the direction asked. */
  messages(
    roomId: RoomId,
    page: PageRequest | PageAround,
    at: readonly Moment[],
    view?: GroupView,
  ): Promise<{ messages: Message[]; hasMore: boolean }>;
  /** The messages of these `seq`s, sealed, as they are now. */
  messagesAt(roomId: RoomId, seqs: readonly number[], at: readonly Moment[]): Promise<SealedMessage[]>;
  /** The texts of a message from the first one on; none of a deleted message. */
  edits(
    roomId: RoomId,
    seq: number,
    at: readonly Moment[],
    view?: Pick<GroupView, 'leftAt'>,
  ): Promise<OpenedEdit[]>;
  /** The roles of these users; none of a user who has none. */
  roles(ids: readonly UserId[], at: readonly Moment[]): Promise<Map<UserId, readonly Role[]>>;
  /** Those who know this user: friends, and those for whom a chat with the user is active. */
  peers(userId: UserId, at: readonly Moment[]): Promise<Set<UserId>>;
  /** A page of all users, or of those whose names have the part `q`; `next` as of `friends`. */
  userPage(page: UserPageRequest, at: readonly Moment[]): Promise<{ users: User[]; next?: string }>;
  /** What the user is to others, by the other one. Pairs without contact and block are left out. */
  ties(userId: UserId, at: readonly Moment[]): Promise<ReadonlyMap<UserId, Ties>>;
  preferences(userId: UserId, at: readonly Moment[]): Promise<Preferences>;
  /**
   * Presence of these users as `viewer` is told of it; offline with `lastSeen: null` if never seen, or hidden.
   * An admin is told what is recorded.
   */
  presence(
    viewer: UserId | 'admin',
    ids: readonly UserId[],
    at: readonly Moment[],
  ): Promise<Map<UserId, OnlineInfo>>;
  /**
   * Erased users whose key still exists, with their names, a page at a time. There are some only during an
   * erasure, or after the vault was restored from an older backup.
   */
  openedErased(): AsyncIterable<ReadonlyMap<UserId, string>>;
  /** A page of the users who are online as of the read model, in the order of their ids, behind `after`. */
  online(limit: number, after?: UserId): Promise<UserId[]>;
  /**
   * The user's streams of one partition with a row offset above `above`, by key, behind `after`, at most
   * `limit`. Replays use it.
   */
  changedStreams(
    userId: UserId,
    partition: number,
    above: number,
    page: { after?: string; limit: number },
    at: readonly Moment[],
  ): Promise<ChangedStream[]>;
  /**
   * The events of one stream with a stored push to the user and `above < offset ≤ upTo`, in order, at most
   * `limit`. `hasMore` tells that there are more. Of pushes with `onlyNewest` it has only the newest one, and
   * none whose newest lies above `upTo`.
   */
  missedEvents(userId: UserId, key: string, range: OffsetRange, limit: number): Promise<MissedEvents>;
}

/** The reads of groups. Each one waits as those of `Queries` do. */
export interface GroupQueries {
  /** The periods in which the user was a member of a group; undefined if there was none. */
  membership(roomId: RoomId, userId: UserId, at: readonly Moment[]): Promise<Membership | undefined>;
  /** All memberships of a user, also those that have ended. */
  memberships(userId: UserId, at: readonly Moment[]): Promise<readonly PlacedMembership[]>;
  /** Whether there is such a group, also one that everybody has left. */
  exists(roomId: RoomId, at: readonly Moment[]): Promise<boolean>;
  /** The present member who joined first; undefined if there is none. */
  firstMember(roomId: RoomId, at: readonly Moment[]): Promise<UserId | undefined>;
  /** A page of the members, in the order of joining. Throws `not_found` unless `me` is one. */
  members(
    me: UserId,
    page: Parameters<typeof groupMembersPage>[2],
    at: readonly Moment[],
  ): ReturnType<typeof groupMembersPage>;
  /** A page of those whose marks have reached a message. Throws `not_found` unless `me` may see it. */
  readers(
    me: UserId,
    page: Parameters<typeof readersPage>[2],
    at: readonly Moment[],
  ): ReturnType<typeof readersPage>;
  /** A page of the changes of a group. Throws `not_found` if the user never was a member. */
  happenings(me: UserId, page: HappeningsAsked, at: readonly Moment[]): ReturnType<typeof happeningsPage>;
}

/** What somebody sees of a group's messages. */
export interface GroupView {
  /** By default all. */
  readonly windows?: readonly Window[];
  /** The offset at which they left: messages are shown with the texts that they had then. */
  readonly leftAt?: number;
}

export function viewOf({ isMember, periods }: Membership): GroupView {
  const windows = windowsIn(periods);
  const left = periods.at(-1)?.left ?? null;
  return isMember || left === null ? { windows } : { windows, leftAt: left };
}

/** When somebody was a member of a group. */
export interface Membership {
  readonly isMember: boolean;
  readonly periods: readonly Period[];
}

/** A membership as of an offset of its partition. */
export interface PlacedMembership extends Membership {
  readonly roomId: RoomId;
  readonly partition: number;
  readonly offset: number;
}

/** What queries read, the opener of texts, and the progress of the models. */
interface QueriesOptions extends ViewSource {
  readonly progress: Pick<Progress, 'waitFor'>;
  readonly log: ReplayedLog;
  readonly contactRule: ContactRule;
}

/** Creates the queries over any row store. */
export function createQueries({ progress, log, contactRule: rule, ...source }: QueriesOptions): Queries {
  const missed = new MissedEventReader(source.rows, log);
  const { rows, open } = source;
  const waitFor = (at: readonly Moment[]) => Promise.all(at.map((moment) => progress.waitFor(moment)));
  return {
    ...peopleQueries(source, waitFor),
    async activeChats(userId, page, at) {
      await waitFor(at);
      return chatPage(source, { me: userId, rule }, page);
    },
    lastSentAt: (userId) => lastSentAt(rows, userId),
    async chat(roomId, userId, at) {
      await waitFor(at);
      return openChat(source, { me: userId, rule }, roomId);
    },
    async members(roomId, at) {
      await waitFor(at);
      return (await chatRow(rows, roomId))?.members;
    },
    async membersFor(userId, roomId, at) {
      await waitFor(at);
      return (await chatRowOf(rows, roomId, userId))?.members;
    },
    async activeFor(roomId, at) {
      await waitFor(at);
      return Object.keys((await chatRow(rows, roomId))?.active ?? {});
    },
    groups: groupQueries(source, rule, waitFor),
    async messages(roomId, page, at, view = {}) {
      if ('around' in page) return pageAround(page, (half) => this.messages(roomId, half, at, view));
      const { windows, leftAt } = view;
      await waitFor(at);
      const found = await messagePage(rows, roomId, page, windows);
      const seen = leftAt === undefined ? found.messages : await asOfOffset(rows, found.messages, leftAt);
      const messages = await openMessages(open, seen);
      // A page that is too large ends where the next one can go on.
      const isForward = page.after !== undefined;
      const inOrder = isForward ? messages : messages.reverse();
      const { shown, end } = cutPage(inOrder, found.hasMore, (message) => message);
      return { messages: isForward ? shown : shown.reverse(), hasMore: end !== undefined };
    },
    ...userQueries(source, waitFor),
    ...messageQueries(source, waitFor),
    openedErased: () => openedErased(source),
    online: (limit, after) => onlineUsers(rows, limit, after),
    async changedStreams(userId, partition, above, page, at) {
      await waitFor(at);
      return changedStreams(rows, userId, partition, above, page);
    },
    async missedEvents(userId, key, range, limit) {
      // The key is a stream name. Everything up to `upTo` must be folded.
      const stream = key as StreamName;
      const partition = partitionOf(stream, log.partitions);
      await waitFor([{ partition, size: range.upTo + 1 }]);
      return missed.of(userId, stream, range, limit);
    },
  };
}

/** Reads of users by themselves. */
function userQueries(
  source: ViewSource,
  waitFor: (at: readonly Moment[]) => Promise<unknown>,
): Pick<Queries, 'users' | 'self'> & Pick<Queries, 'userPage' | 'roles'> {
  const { rows } = source;
  return {
    async users(ids, at) {
      await waitFor(at);
      return usersById(source, ids);
    },
    async self(userId, at) {
      await waitFor(at);
      return (await usersById(source, [userId], PROFILE_FIELDS)).get(userId);
    },
    async userPage(page, at) {
      await waitFor(at);
      return userPage(source, page);
    },
    async roles(ids, at) {
      await waitFor(at);
      return rolesOf(rows, ids);
    },
  };
}

/** Reads of single messages. */
function messageQueries(
  source: ViewSource,
  waitFor: (at: readonly Moment[]) => Promise<unknown>,
): Pick<Queries, 'messagesAt' | 'edits'> {
  return {
    async messagesAt(roomId, seqs, at) {
      await waitFor(at);
      return messagesAt(source.rows, roomId, seqs);
    },
    async edits(roomId, seq, at, { leftAt } = {}) {
      await waitFor(at);
      const [message] = await messagesAt(source.rows, roomId, [seq]);
      return message ? openEdits(source, message, leftAt) : [];
    },
  };
}

function groupQueries(
  source: ViewSource,
  rule: ContactRule,
  waitFor: (at: readonly Moment[]) => Promise<unknown>,
): GroupQueries {
  const { rows } = source;
  return {
    async membership(roomId, userId, at) {
      await waitFor(at);
      const row = await membershipOf(rows, roomId, userId);
      return row && { isMember: row.role !== null, periods: periodsOf(row) };
    },
    async memberships(userId, at) {
      await waitFor(at);
      return (await membershipsOf(rows, userId)).flatMap(({ key, partition, offset, value }) => {
        if (!value) return [];
        const { roomId } = membershipIn(key);
        return [{ roomId, partition, offset, isMember: value.role !== null, periods: periodsOf(value) }];
      });
    },
    async exists(roomId, at) {
      await waitFor(at);
      return (await groupRows(rows, [roomId])).has(roomId);
    },
    async firstMember(roomId, at) {
      await waitFor(at);
      return (await membersByJoining(rows, roomId, 1))[0]?.userId;
    },
    async members(me, page, at) {
      await waitFor(at);
      return groupMembersPage(source, me, page);
    },
    async readers(me, page, at) {
      await waitFor(at);
      return readersPage(source, { me, rule }, page);
    },
    async happenings(me, page, at) {
      await waitFor(at);
      return happeningsPage(source, me, page);
    },
  };
}
