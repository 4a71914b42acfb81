import { badRequest, notFound } from '../base/errors.js';
import type { SealedMessage } from '../domain/defineEvent.js';
import { groupNote } from '../domain/groups/groupEvents.js';
import { countInWindows, isInWindows, newestInWindows, windowsIn } from '../domain/groups/groupState.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { SHOWN_MEMBERS } from '../domain/limits.js';
import type { Chat, User } from '../domain/userMessageChat.js';
import { cutPage, nextOf, type PageAsked, type PageEnd, parseNext } from './answerPages.js';
import { toldReadsOf, type Viewer } from './models/contacts.js';
import { asOfOffset, mentionsOf } from './models/editsAndMentions.js';
import { type GroupRow, groupRows, lastSeqIn } from './models/groupRows.js';
import {
  type MembershipRow,
  membershipIn,
  membershipsModel,
  membershipsOfIn,
  periodsOf,
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
export async function seenGroups(
  rows: RowReader,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<SeenGroup[]> {
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
export async function membersByJoining(
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
const placeOf = ({ key, value }: Member): PageEnd => ({ sort: joinedIn(value), key });

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

/** The newest message of each group that its member may see. */
export async function newestSeen(
  rows: RowReader,
  groups: readonly SeenGroup[],
): Promise<(SealedMessage | null)[]> {
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
  { roomId, limit, next }: PageAsked & { readonly roomId: RoomId },
): Promise<{ members: { user: User; role: 'owner' | 'admin' | 'member'; since: string }[]; next?: string }> {
  await groupOfMember(source.rows, roomId, me);
  const from = next === undefined ? undefined : parseNext('members', next);
  const found = await membersByJoining(source.rows, roomId, limit + 1, from);
  const users = await usersById(
    source,
    found.map(({ userId }) => userId),
  );
  const { shown, end } = cutPage(found.slice(0, limit), found.length > limit, ({ userId, value }) => {
    const { role, since } = value;
    return role ? { user: requireUser(users, userId), role, since } : undefined;
  });
  return { members: shown, ...nextOf('members', end, placeOf) };
}

/** Members of one read. */
const MEMBERS_PER_READ = 256;

/** A page of the members who could see a message and whose marks have reached it. */
export async function readersPage(
  { rows }: ViewSource,
  viewer: Viewer,
  { roomId, seq, limit, next }: PageAsked & { readonly roomId: RoomId; readonly seq: number },
): Promise<{ readers: { userId: UserId; upTo: number }[]; next?: string }> {
  const mine = await groupOfMember(rows, roomId, viewer.me);
  if (seq > lastSeqIn(mine.group)) {
    const message = `must be at most the newest seq, ${lastSeqIn(mine.group)}`;
    throw badRequest(`seq ${message}`, [{ path: 'seq', message }]);
  }
  if (!isInWindows(windowsOfGroup(mine), seq)) throw notFound('there is no such message for you');
  const found: Member[] = [];
  // A group has at most 1,000 members.
  for (let from = next === undefined ? undefined : parseNext('readers', next); found.length <= limit; ) {
    const page = await membersByJoining(rows, roomId, MEMBERS_PER_READ, from);
    const isTold = await toldReadsOf(
      rows,
      viewer,
      page.map(({ userId }) => userId),
    );
    for (const member of page) {
      const { userId, value } = member;
      if (isTold(userId) && value.mark >= seq && isInWindows(windowsIn(periodsOf(value)), seq))
        found.push(member);
    }
    const last = page.at(-1);
    if (!last || page.length < MEMBERS_PER_READ) break;
    from = placeOf(last);
  }
  const { shown, end } = cutPage(found.slice(0, limit), found.length > limit, ({ userId, value }) => ({
    userId,
    upTo: value.mark,
  }));
  return { readers: shown, ...nextOf('readers', end, placeOf) };
}
