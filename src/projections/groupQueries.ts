import { badRequest, notFound } from '../base/errors.js';
import type { SealedMessage } from '../domain/defineEvent.js';
import { groupNote } from '../domain/groups/groupEvents.js';
import { countInWindows, isInWindows, newestInWindows, windowsIn } from '../domain/groups/groupState.js';
import { type RoomId, streamOf, type UserId } from '../domain/ids.js';
import { SHOWN_MEMBERS } from '../domain/limits.js';
import type { Chat, User } from '../domain/userMessageChat.js';
import { cutPage, type PageEnd, parseNext, toldReadsOf, type Viewer, writeNext } from './models/contacts.js';
import { asOfOffset, mentionsOf } from './models/editsAndMentions.js';
import { type GroupRow, groupRows, lastSeqIn } from './models/groupRows.js';
import {
  type MembershipRow,
  membershipIn,
  membershipsModel,
  membershipsOfIn,
  periodsOf,
  placedGroups,
} from './models/membershipRows.js';
import { messageKey } from './models/messageKeys.js';
import { messageOf, messagesModel, openMessages } from './models/messageRows.js';
import { requireUser, usersById, type ViewSource } from './models/userRows.js';
import { elementAt, findCheckedInOrder, type Row, type RowReader } from './store/rowStore.js';

/** A group, and somebody's membership of it, present or ended. */
export interface SeenGroup {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly group: GroupRow;
  readonly membership: MembershipRow;
}

/** The group as the user sees it; undefined if the user never was a member, as for a group that does not exist. */
export async function seenGroup(
  rows: RowReader,
  roomId: RoomId,
  userId: UserId,
): Promise<SeenGroup | undefined> {
  return (await seenGroups(rows, userId, [roomId]))[0];
}

/** Those of these groups that the user is or was in. */
async function seenGroups(rows: RowReader, userId: UserId, roomIds: readonly RoomId[]): Promise<SeenGroup[]> {
  // The memberships first: whether there is such a group is asked for its members alone.
  const memberships = await membershipsOfIn(rows, userId, roomIds);
  const groups = await groupRows(rows, [...memberships.keys()]);
  return [...memberships].flatMap(([roomId, membership]) => {
    const group = groups.get(roomId);
    return group ? [{ roomId, userId, group, membership }] : [];
  });
}

const windowsOfGroup = ({ membership }: SeenGroup) => windowsIn(periodsOf(membership));

type Member = Row<MembershipRow> & { readonly userId: UserId; readonly value: MembershipRow };

/** Members of a group in the order of joining, behind `from`. There are fewer than `limit` only at the end. */
async function membersByJoining(
  rows: RowReader,
  roomId: RoomId,
  limit: number,
  from?: PageEnd,
): Promise<Member[]> {
  const found = await findCheckedInOrder(rows, membershipsModel, 'members', {
    find: { terms: [roomId], limit, ...(from === undefined ? {} : { from }) },
    // An index is not trusted: a wrong entry shows nobody, and hides nobody who comes behind it.
    isWanted: ({ key, value }) => value?.role != null && membershipIn(key).roomId === roomId,
    sortOf: joinedIn,
  });
  return found.map((row) => ({ ...row, userId: membershipIn(row.key).userId }));
}

type Mark = readonly [userId: UserId, upTo: number];

/** Terms of one read. */
const MOST_TERMS = 256;

/** All members of these small groups, in the order of joining, with few reads. */
async function membersOfSmall(
  rows: RowReader,
  groups: readonly SeenGroup[],
): Promise<ReadonlyMap<RoomId, Member[]>> {
  const found = new Map<RoomId, Member[]>(groups.map(({ roomId }) => [roomId, []]));
  for (let at = 0; at < groups.length; at += MOST_TERMS) {
    const terms = groups.slice(at, at + MOST_TERMS).map(({ roomId }) => roomId);
    const limit = terms.length * SHOWN_MEMBERS * 2;
    for (const row of await rows.find(membershipsModel, 'members', { terms, unordered: true, limit })) {
      const { roomId, userId } = membershipIn(row.key);
      // An index is not trusted.
      if (row.value?.role) found.get(roomId)?.push({ ...row, value: row.value, userId });
    }
  }
  for (const members of found.values()) members.sort((a, b) => joinedIn(a.value) - joinedIn(b.value));
  return found;
}

const joinedIn = ({ periods }: MembershipRow): number => periods.at(-1)?.[2] ?? 0;

/** The marks of those members whom the chat of each group shows; of a large one me, and those who came first. */
async function shownMarks(rows: RowReader, groups: readonly SeenGroup[]): Promise<(readonly Mark[])[]> {
  const current = groups.filter(({ membership }) => membership.role !== null);
  const [small, large] = [new Map<RoomId, Member[]>(), new Map<RoomId, Member[]>()];
  const isSmall = ({ group }: SeenGroup) => group.members <= SHOWN_MEMBERS;
  for (const [room, members] of await membersOfSmall(rows, current.filter(isSmall))) small.set(room, members);
  const readFirst = async ({ roomId }: SeenGroup) => {
    large.set(roomId, await membersByJoining(rows, roomId, SHOWN_MEMBERS));
  };
  await Promise.all(current.filter((seen) => !isSmall(seen)).map(readFirst));
  return groups.map(({ roomId, userId, membership }) => {
    const me: Mark = [userId, membership.mark];
    // Who has left is told nothing of the others any more.
    if (membership.role === null) return [me];
    const first = small.get(roomId) ?? large.get(roomId) ?? [];
    const marks = first.map((member): Mark => [member.userId, member.value.mark]).slice(0, SHOWN_MEMBERS);
    if (marks.some(([member]) => member === userId)) return marks;
    return [me, ...marks.slice(0, SHOWN_MEMBERS - 1)];
  });
}

/** The newest message that the member may see. */
async function newestSeen(rows: RowReader, groups: readonly SeenGroup[]): Promise<(SealedMessage | null)[]> {
  const keys = groups.map((seen) => {
    const lastSeq = lastSeqIn(seen.group);
    const seq = newestInWindows(windowsOfGroup(seen), lastSeq);
    return seq === 0 || seq === lastSeq ? seq : messageKey(seen.roomId, seq);
  });
  const older = keys.filter((key) => typeof key === 'string');
  const found = older.length > 0 ? await rows.get(messagesModel, older) : undefined;
  const newest = groups.map(({ group }, i) => {
    const key = elementAt(keys, i);
    if (typeof key === 'string') return messageOf(found?.get(key)) ?? null;
    return key === 0 ? null : group.lastMessage;
  });
  return Promise.all(newest.map((message, i) => asSeen(rows, message, elementAt(groups, i).membership)));
}

/** A message as a member sees it; for who has left, with the text that it had then. */
async function asSeen(
  rows: RowReader,
  message: SealedMessage | null,
  membership: MembershipRow,
): Promise<SealedMessage | null> {
  const left = membership.periods.at(-1)?.[3] ?? null;
  if (!message?.rev || membership.role !== null || left === null) return message;
  return (await asOfOffset(rows, [message], left))[0] ?? message;
}

/** The `seq` of the messages above the member's mark that mention them and that they may see, the newest ones. */
async function mentionsSeen(
  rows: RowReader,
  { roomId, userId, group, membership: { mark, ...membership } }: SeenGroup,
): Promise<number[]> {
  if (group.lastMention <= mark) return [];
  const windows = windowsIn(periodsOf({ mark, ...membership }));
  return (await mentionsOf(rows, roomId, userId, mark)).filter((seq) => isInWindows(windows, seq));
}

/** Opens groups as their members see them. Profiles and texts take one read each, for all groups. */
export async function openGroups(
  source: ViewSource,
  viewer: Viewer,
  groups: readonly SeenGroup[],
): Promise<Chat[]> {
  const { rows, open } = source;
  const [marks, newest, mentions] = await Promise.all([
    shownMarks(rows, groups),
    newestSeen(rows, groups),
    Promise.all(groups.map((seen) => mentionsSeen(rows, seen))),
  ]);
  const notes = groups.flatMap(({ roomId, group: { texts } }) => [
    groupNote(roomId, 'name', texts.name),
    ...(texts.about === undefined ? [] : [groupNote(roomId, 'about', texts.about)]),
  ]);
  const shownUsers = marks.flatMap((shown) => shown.map(([member]) => member));
  const [isTold, users, opened, messages] = await Promise.all([
    toldReadsOf(rows, viewer, [...new Set(shownUsers)]),
    usersById(source, shownUsers),
    open.notes(notes),
    openMessages(
      open,
      newest.flatMap((message) => message ?? []),
    ),
  ]);
  const texts = new Map(notes.map(({ sealed }, i) => [sealed, elementAt(opened, i)]));
  const last = new Map(messages.map((message) => [message.roomId, message]));
  return groups.map((seen, i) => {
    const { group, membership } = seen;
    const shown = elementAt(marks, i);
    const about = group.texts.about === undefined ? undefined : texts.get(group.texts.about);
    const windows = windowsOfGroup(seen);
    // In a large group marks are each one's own.
    const isLarge = group.members > SHOWN_MEMBERS;
    const told = shown.filter(([member]) => (isLarge ? member === seen.userId : isTold(member)));
    return {
      roomId: seen.roomId,
      roomType: 'GROUP',
      participants: shown.map(([member]) => requireUser(users, member)),
      lastMessage: last.get(seen.roomId) ?? null,
      unread: countInWindows(windows, membership.mark, lastSeqIn(group)),
      readUpTo: Object.fromEntries(told),
      createdAt: group.createdAt,
      name: texts.get(group.texts.name) ?? null,
      ...(about ? { about } : {}),
      ...group.settings,
      ...(membership.role === null ? {} : { role: membership.role, members: group.members }),
      windows: windows.map(([from, to]) => [from, to]),
      mentions: elementAt(mentions, i),
      pinnedMessages: group.pins.flatMap(([id, seq]) => (isInWindows(windows, seq) ? [id] : [])),
    };
  });
}

type Page = { readonly limit: number; readonly next?: string };
type Chats = { chats: Chat[]; next?: string };

/** Newest first, then by key in descending order: the order of the index of private chats. */
const byActivity = (a: PageEnd, b: PageEnd): number =>
  b.sort - a.sort || (a.key < b.key ? 1 : a.key > b.key ? -1 : 0);

/**
 * A page of the user's active chats, newest activity first: private ones, which `pairs` gives a page at a time, and all
 * groups that the user is in. Of groups it reads the rows of those alone that the page shows.
 */
export async function activeRooms(
  source: ViewSource,
  viewer: Viewer,
  page: Page,
  pairs: (page: Page) => Promise<Chats>,
): Promise<Chats> {
  const [found, groups] = await Promise.all([pairs(page), placedGroups(source.rows, viewer.me)]);
  const from = page.next === undefined ? undefined : parseNext('chats', page.next);
  // What lies behind the end of the page of pairs waits for the next page.
  const end = found.next === undefined ? undefined : parseNext('chats', found.next);
  const placed = groups
    .filter((place) => (!from || byActivity(from, place) < 0) && (!end || byActivity(place, end) < 0))
    .map((place) => ({ place, roomId: place.roomId, chat: undefined }));
  const chats = found.chats.map((chat) => {
    const sort = Date.parse(chat.lastMessage?.sentAt ?? chat.createdAt);
    return { place: { sort, key: streamOf('room', chat.roomId) }, roomId: chat.roomId, chat };
  });
  const all = [...chats, ...placed].sort((a, b) => byActivity(a.place, b.place));
  const shown = all.slice(0, page.limit);
  const seen = await seenGroups(
    source.rows,
    viewer.me,
    shown.flatMap(({ roomId, chat }) => (chat ? [] : [roomId])),
  );
  // An index is not trusted, and they may have left one meanwhile.
  const opened = await openGroups(
    source,
    viewer,
    seen.filter(({ membership }) => membership.role !== null),
  );
  const groupChats = new Map(opened.map((chat) => [chat.roomId, chat]));
  const rows = shown.flatMap(({ place, roomId, chat }) => {
    const one = chat ?? groupChats.get(roomId);
    return one ? [{ place, chat: one }] : [];
  });
  const fitting = cutPage(rows, ({ chat }) => chat);
  const isCut = fitting.length < rows.length;
  // Those who have left all groups of a page still come to the next one.
  const last = (isCut ? fitting : shown).at(-1);
  const isWhole = !isCut && all.length <= page.limit;
  const next = isWhole ? found.next : last && writeNext('chats', last.place);
  return { chats: fitting.map(({ chat }) => chat), ...(next === undefined ? {} : { next }) };
}

/** The group of a member. Throws `not_found` for anybody else. */
async function groupOfMember(rows: RowReader, roomId: RoomId, me: UserId): Promise<SeenGroup> {
  const seen = await seenGroup(rows, roomId, me);
  if (!seen?.membership.role) throw notFound('there is no such group among yours');
  return seen;
}

/** A page of a group's members, in the order of joining. */
export async function groupMembersPage(
  source: ViewSource,
  me: UserId,
  { roomId, limit, next }: Page & { readonly roomId: RoomId },
): Promise<{ members: { user: User; role: 'owner' | 'admin' | 'member'; since: string }[]; next?: string }> {
  await groupOfMember(source.rows, roomId, me);
  const from = next === undefined ? undefined : parseNext('members', next);
  const found = await membersByJoining(source.rows, roomId, limit + 1, from);
  const users = await usersById(
    source,
    found.map(({ userId }) => userId),
  );
  const rows = found.slice(0, limit).flatMap((row) => {
    const { role, since } = row.value;
    return role ? [{ row, shown: { user: requireUser(users, row.userId), role, since } }] : [];
  });
  const fitting = cutPage(rows, ({ shown }) => shown);
  const last = fitting.at(-1);
  const isEnd = fitting.length === found.length || last === undefined;
  const end = last && { sort: joinedIn(last.row.value), key: last.row.key };
  return {
    members: fitting.map(({ shown }) => shown),
    ...(isEnd || !end ? {} : { next: writeNext('members', end) }),
  };
}

/** Members of one read. */
const MEMBERS_PER_READ = 256;

/** A page of the members who could see a message and whose marks have reached it. */
export async function readersPage(
  { rows }: ViewSource,
  viewer: Viewer,
  { roomId, seq, limit, next }: Page & { readonly roomId: RoomId; readonly seq: number },
): Promise<{ readers: { userId: UserId; upTo: number }[]; next?: string }> {
  const mine = await groupOfMember(rows, roomId, viewer.me);
  if (seq > lastSeqIn(mine.group)) {
    const message = `must be at most the newest seq, ${lastSeqIn(mine.group)}`;
    throw badRequest(`seq ${message}`, [{ path: 'seq', message }]);
  }
  if (!isInWindows(windowsOfGroup(mine), seq)) throw notFound('there is no such message for you');
  const readers: { userId: UserId; upTo: number }[] = [];
  let from = next === undefined ? undefined : parseNext('readers', next);
  for (;;) {
    const page = await membersByJoining(rows, roomId, MEMBERS_PER_READ, from);
    const isTold = await toldReadsOf(
      rows,
      viewer,
      page.map(({ userId }) => userId),
    );
    for (const { key, userId, value } of page) {
      const isReader = isTold(userId) && value.mark >= seq && isInWindows(windowsIn(periodsOf(value)), seq);
      if (isReader && readers.length === limit && from) return { readers, next: writeNext('readers', from) };
      if (isReader) readers.push({ userId, upTo: value.mark });
      from = { sort: joinedIn(value), key };
    }
    if (page.length < MEMBERS_PER_READ) return { readers };
  }
}
