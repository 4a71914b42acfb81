import type { ChatFilter } from '../domain/chats.js';
import type { Time } from '../domain/fields.js';
import { isGroupId, type RoomId, type UserId } from '../domain/ids.js';
import type { Chat } from '../domain/userMessageChat.js';
import { cutPage, fromNext, nextOf, type PageAsked, type PageEnd } from './answerPages.js';
import { newestSeen, openGroups, seenGroups } from './groupQueries.js';
import { activityOf, chatRowOf, chatsModel, hasChat, isMember, type OpenChatRow } from './models/chatRows.js';
import { type ChatSettingRow, isArchived, settingsOf, withSettings } from './models/chatSettingRows.js';
import { isRequest, openChats } from './models/chatViews.js';
import type { Viewer } from './models/contacts.js';
import { type PlacedGroup, placedGroups } from './models/membershipRows.js';
import type { ViewSource } from './models/userRows.js';
import { findCheckedInOrder, type RowReader } from './store/rowStore.js';

/** Pages of a user's chats, newest activity first: private ones, and all groups that the user is in. */

export interface ChatPageAsked extends PageAsked {
  readonly filter?: ChatFilter;
}

/** A chat at its place among those of a user, not opened. */
interface PlacedChat {
  readonly place: PageEnd;
  readonly roomId: RoomId;
  /** Of a private chat. Undefined for a group. */
  readonly pair?: OpenChatRow;
  readonly isGroup?: true;
}

/** The chats that one answer looks at for a filter, beside as many as it may show. */
const LOOKED_AT = 400;

/**
 * A page of the user's active chats that the filter lets pass. It looks at `limit` + 400 chats at most: with a filter a
 * page may hold fewer than `limit`, even none, and still have a `next`. It opens those chats alone that it shows. Throws
 * `bad_request` if `next` was altered.
 */
export async function chatPage(
  source: ViewSource,
  viewer: Viewer,
  { limit, next, filter = 'all' }: ChatPageAsked,
): Promise<{ chats: Chat[]; next?: string }> {
  const { rows } = source;
  let { from } = fromNext('chats', next);
  const groups = await placedGroups(rows, viewer.me);
  const looked: { readonly chat: PlacedChat; readonly isKept: boolean }[] = [];
  let [kept, hasMore] = [0, true];
  // The second look comes only if the filter let too few pass.
  for (const count of [limit, LOOKED_AT]) {
    if (!hasMore || kept >= limit) break;
    const found = await placedBehind(rows, viewer.me, groups, { limit: count, from });
    const passes = await passing(rows, viewer, found.chats, filter);
    for (const chat of found.chats) looked.push({ chat, isKept: passes(chat) });
    kept = looked.filter(({ isKept }) => isKept).length;
    hasMore = found.hasMore;
    from = found.chats.at(-1)?.place ?? from;
  }
  let shown = 0;
  const page = looked.filter(({ isKept }) => (isKept ? ++shown <= limit : shown < limit));
  const opened = await openPlaced(
    source,
    viewer,
    page.flatMap(({ chat, isKept }) => (isKept ? [chat] : [])),
  );
  const cut = cutPage(page, hasMore || kept > limit, ({ chat, isKept }) =>
    isKept ? opened.get(chat.roomId) : undefined,
  );
  return { chats: cut.shown, ...nextOf('chats', cut.end, ({ chat }) => chat.place) };
}

/** The chat as the viewer sees it; undefined unless the room exists and the viewer is, or was, a member. */
export async function openChat(
  source: ViewSource,
  viewer: Viewer,
  roomId: RoomId,
): Promise<Chat | undefined> {
  const { rows } = source;
  const { me } = viewer;
  const open = async (): Promise<readonly Chat[]> => {
    if (isGroupId(roomId)) return openGroups(source, viewer, await seenGroups(rows, me, [roomId]));
    const pair = await chatRowOf(rows, roomId, me);
    return pair ? openChats(source, viewer, [pair]) : [];
  };
  const opened = await open();
  // Who is no member waits for no further read.
  return opened.length === 0 ? undefined : (await withSettings(rows, me, opened))[0];
}

/** The newest chats in which a message of a user is looked for. */
const SENT_LOOKED_AT = 20;

/** When the user sent the newest message of one of their 20 newest chats; undefined if others sent each of these. */
export async function lastSentAt(rows: RowReader, me: UserId): Promise<Time | undefined> {
  const page = { limit: SENT_LOOKED_AT, from: undefined };
  const { chats } = await placedBehind(rows, me, await placedGroups(rows, me), page);
  const ids = chats.flatMap(({ roomId, isGroup }) => (isGroup ? [roomId] : []));
  const newest = [
    ...chats.map(({ pair }) => pair?.lastMessage),
    ...(await newestSeen(rows, await seenGroups(rows, me, ids))),
  ];
  return newest
    .flatMap((message) => (message?.senderId === me ? [message.sentAt] : []))
    .sort()
    .at(-1);
}

/** Newest first, then by key in descending order: the order of the index of private chats. */
const byActivity = (a: PageEnd, b: PageEnd): number =>
  b.sort - a.sort || (a.key < b.key ? 1 : a.key > b.key ? -1 : 0);

/** The next chats of the user, at most `limit`. Of groups it reads indexes alone. */
async function placedBehind(
  rows: RowReader,
  me: UserId,
  groups: readonly PlacedGroup[],
  { limit, from }: { readonly limit: number; readonly from: PageEnd | undefined },
): Promise<{ chats: PlacedChat[]; hasMore: boolean }> {
  const found = await findCheckedInOrder(rows, chatsModel, 'activity', {
    find: { terms: [me], reverse: true, limit: limit + 1, ...(from ? { from } : {}) },
    // An index is not trusted, and a chat is active only once it was created.
    isWanted: ({ value }) => value !== null && hasChat(value) && isMember(value, me) && me in value.active,
    sortOf: activityOf,
  });
  const pairs = found
    .slice(0, limit)
    .flatMap(({ key, value }): PlacedChat[] =>
      hasChat(value) ? [{ place: { sort: activityOf(value), key }, roomId: value.roomId, pair: value }] : [],
    );
  // Groups behind the end of these pairs wait for the next page.
  const end = found.length > limit ? pairs.at(-1)?.place : undefined;
  const placed = groups
    .filter((place) => (!from || byActivity(from, place) < 0) && (!end || byActivity(place, end) < 0))
    .map((place) => ({ place, roomId: place.roomId, isGroup: true as const }));
  const all = [...pairs, ...placed].sort((a, b) => byActivity(a.place, b.place));
  return { chats: all.slice(0, limit), hasMore: end !== undefined || all.length > limit };
}

/** Tells which of these chats the filter lets pass. */
async function passing(
  rows: RowReader,
  viewer: Viewer,
  chats: readonly PlacedChat[],
  filter: ChatFilter,
): Promise<(chat: PlacedChat) => boolean> {
  const { me } = viewer;
  const settings = await settingsOf(
    rows,
    me,
    chats.map(({ roomId }) => roomId),
  );
  const wasPutAway = ({ roomId }: PlacedChat) => settings.get(roomId)?.archivedAt !== undefined;
  const groups = await seenGroups(
    rows,
    me,
    chats.flatMap((chat) => (chat.isGroup && wasPutAway(chat) ? [chat.roomId] : [])),
  );
  const newest = await newestSeen(rows, groups);
  const newestOf = new Map(groups.map(({ roomId }, i) => [roomId, newest[i] ?? null]));
  const isOut = ({ pair, roomId }: PlacedChat, set: ChatSettingRow): boolean =>
    isArchived(set, pair ? pair.lastMessage : (newestOf.get(roomId) ?? null));
  return (chat) => {
    if (!chat.pair && !chat.isGroup) return false;
    const set = settings.get(chat.roomId);
    const isArchive = set !== undefined && isOut(chat, set);
    if (isArchive || filter === 'archived') return isArchive && filter === 'archived';
    const isAsked = chat.pair !== undefined && isRequest(chat.pair, viewer);
    return filter === 'all' || (filter === 'requests') === isAsked;
  };
}

/** Opens chats, by room. A group that the user has left meanwhile is left out. */
async function openPlaced(
  source: ViewSource,
  viewer: Viewer,
  placed: readonly PlacedChat[],
): Promise<ReadonlyMap<RoomId, Chat>> {
  const { rows } = source;
  const ids = placed.flatMap(({ roomId, isGroup }) => (isGroup ? [roomId] : []));
  const seen = (await seenGroups(rows, viewer.me, ids)).filter(({ membership }) => membership.role !== null);
  const [pairs, groups] = await Promise.all([
    openChats(
      source,
      viewer,
      placed.flatMap(({ pair }) => pair ?? []),
    ),
    openGroups(source, viewer, seen),
  ]);
  const chats = await withSettings(rows, viewer.me, [...pairs, ...groups]);
  return new Map(chats.map((chat) => [chat.roomId, chat]));
}
