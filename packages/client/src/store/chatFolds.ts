import type { Chat, ClientState, PushData, User } from '../types.js';
import { applyMark, applyMessages, eraseText, isMuted } from './messageFolds.js';
import {
  EMPTY_STATE,
  isSame,
  type RoomState,
  reuseIfEqual,
  reuseIfSame,
  roomOf,
  type State,
  withChat,
  withElement,
  withEntry,
  withRoom,
} from './storeState.js';
import type { GroupChange, Happening, Presence } from './storeTypes.js';

/** Folds of users, friends, blocks, presence and the connection. */

/** A user who is erased stays so, whatever comes later. */
export function applyUser(state: State, user: User): State {
  if (user.erased === true) return applyErasure(keepUser(state, user), user.userId);
  return state.erased.has(user.userId)
    ? keepUser(state, { ...user, username: null, erased: true })
    : keepUser(state, user);
}

function keepUser(state: State, user: User): State {
  const next = reuseIfSame(state.users.get(user.userId), user);
  const me = state.me?.userId === user.userId ? next : state.me;
  return { ...state, users: withEntry(state.users, user.userId, next), me };
}

export function applyFriend(state: State, friend: User): State {
  const next = applyUser(state, friend);
  const { userId } = friend;
  return { ...next, friends: withElement(next.friends, userId, !next.erased.has(userId)) };
}

/** Ends friendship and contact: presence of the other is no longer pushed. */
export const applyEndOfContact = (state: State, userId: string): State => ({
  ...state,
  friends: withElement(state.friends, userId, false),
  presence: withEntry(state.presence, userId, undefined),
});

export function applyBlock(state: State, userId: string, isBlocked: boolean): State {
  const next = { ...state, blocked: withElement(state.blocked, userId, isBlocked) };
  return isBlocked ? applyEndOfContact(next, userId) : next;
}

/** Changes every room. */
function withRooms(state: State, change: (room: RoomState) => Partial<RoomState>): State {
  const rooms = [...state.rooms].map(
    ([roomId, room]) => [roomId, reuseIfEqual(room, { ...room, ...change(room) })] as const,
  );
  return { ...state, rooms: new Map(rooms) };
}

/** Removes the name and texts of an erased user, and their friendship with this user. */
export function applyErasure(state: State, userId: string): State {
  if (state.erased.has(userId)) return state;
  const erased = withElement(state.erased, userId, true);
  const stale = withElement(state.stale, userId, false);
  const next = withRooms({ ...applyEndOfContact(state, userId), erased, stale }, ({ known, typing }) => ({
    known: reuseIfEqual(
      known,
      known.map((message) => (message.senderId === userId ? eraseText(message) : message)),
    ),
    typing: withElement(typing, userId, false),
  }));
  const user = state.users.get(userId);
  if (!user) return next;
  const { backgroundColor, createdAt } = user;
  return keepUser(next, { userId, username: null, backgroundColor, createdAt, erased: true });
}

export function applyPresence(state: State, userId: string, presence: Presence): State {
  if (state.erased.has(userId)) return state;
  const stale = withElement(state.stale, userId, false);
  return { ...state, stale, presence: withEntry(state.presence, userId, presence) };
}

export function presenceOf(isOnline: boolean, lastSeen: string | null): Presence {
  if (isOnline) return { state: 'online' };
  return lastSeen === null ? { state: 'unknown' } : { state: 'offline', lastSeen };
}

/** Folds the connection's state in. A lost connection ends all typing. */
export function applyConnection(state: State, connection: ClientState): State {
  const next = { ...state, connection };
  if (connection.state === 'replaying' || connection.state === 'live') {
    return applyUser(
      { ...next, me: state.users.get(connection.user.userId) ?? connection.user },
      connection.user,
    );
  }
  if (connection.state !== 'waiting') return next;
  const quiet = withRooms(next, ({ typing }) => ({ typing: typing.size === 0 ? typing : new Set() }));
  return { ...quiet, stale: new Set(state.presence.keys()) };
}

/**
 * Forgets the known history, for a connection that began without a cursor: none of it may be true, as on a
 * server that was restored. What is queued and open rooms stay.
 */
export function resetToPresent(state: State): State {
  const open = [...state.rooms.keys()].filter((roomId) => roomOf(state, roomId).isOpen);
  const { connection, me, waiting, refused, changes } = state;
  const users = new Map(me === undefined ? [] : [[me.userId, me]]);
  return open.reduce<State>((next, roomId) => withRoom(next, roomId, { isOpen: true, pages: 'loading' }), {
    ...EMPTY_STATE,
    ...{ connection, me, waiting, refused, changes, users },
  });
}

/** Folds of chats, and of the members of groups. Each may come twice. */

/** The contract's windows: the `seq` from and to which I see messages; null: without end. */
export type Windows = NonNullable<Chat['windows']>;

const ALL: Windows = [[1, null]];

export const windowsOf = ({ chat }: RoomState): Windows => chat?.windows ?? ALL;

/** Whether I may send: who has left a group only reads. */
export const isMember = (room: RoomState): boolean =>
  room.chat?.roomType !== 'GROUP' || windowsOf(room).at(-1)?.[1] === null;

/** The `seq` before this one that I may see; 0: none. */
export const previousSeq = (windows: Windows, seq: number): number =>
  windows.reduce((before, [from, to]) => (seq > from ? Math.min(seq - 1, to ?? seq) : before), 0);

/** The messages above a mark that I may see. */
export const countUnread = (windows: Windows, mark: number, newest: number): number =>
  windows.reduce(
    (sum, [from, to]) => sum + Math.max(0, Math.min(to ?? newest, newest) - Math.max(from - 1, mark)),
    0,
  );

/** Folds a chat in, with its members, last message and marks. */
export function applyChat(state: State, given: Chat): State {
  const { participants, lastMessage, readUpTo, unread: _, ...info } = given;
  const { roomId } = info;
  let next = participants.reduce(applyUser, state);
  const room = roomOf(next, roomId);
  next = withRoom(next, roomId, {
    chat: reuseIfSame(room.chat, info),
    participants: reuseIfEqual(
      room.participants,
      participants.map(({ userId }) => userId),
    ),
  });
  for (const [userId, upTo] of Object.entries(readUpTo)) next = applyMark(next, roomId, userId, upTo);
  if (lastMessage !== null) next = applyMessages(next, roomId, [lastMessage]);
  // A message has come since this was true, and brought the chat back from the archive.
  const newest = roomOf(next, roomId).known.at(-1);
  return newest && newest.seq > (lastMessage?.seq ?? 0) && !isMuted(info.mutedUntil, newest.sentAt)
    ? withChat(next, roomId, { archived: undefined })
    : next;
}

/** The newest happenings that a room keeps. */
const MOST_HAPPENINGS = 500;

/** Notes what happened in a group, once. The answer to a command has no place in the log: it is the newest here. */
export function applyHappening(
  state: State,
  roomId: string,
  { at, by }: { readonly at?: number | undefined; readonly by: string },
  change: GroupChange,
): State {
  const { chat, known, happenings } = roomOf(state, roomId);
  if (chat?.roomType !== 'GROUP') return state;
  const happening: Happening = { ...change, at: at ?? known.at(-1)?.seq ?? 0, by };
  if (happenings.some((one) => isSame(one, happening))) return state;
  return withRoom(state, roomId, { happenings: [...happenings, happening].slice(-MOST_HAPPENINGS) });
}

/** The members that a chat names at most. */
export const NAMED_MEMBERS = 32;

/** Folds somebody's coming or going in. My own going ends my window: what lies in it stays readable. */
export function applyMembership(
  state: State,
  { roomId, userId, at }: { readonly roomId: string; readonly userId: string; readonly at: number },
  isIn: boolean,
): State {
  const { chat, participants, told, typing } = roomOf(state, roomId);
  if (chat?.members === undefined) return state;
  const isNamed = participants.includes(userId);
  // In a larger group, what was told last says whether somebody was in it who is not named.
  const hasUnnamed = chat.members > participants.length;
  const wasIn = isNamed || (hasUnnamed && (told.get(userId) ?? !isIn));
  const named = isIn ? [...participants, userId] : participants.filter((one) => one !== userId);
  const next = withRoom(state, roomId, {
    participants: isNamed === isIn ? participants : reuseIfEqual(participants, named.slice(0, NAMED_MEMBERS)),
    told: withEntry(told, userId, isIn),
    typing: isIn ? typing : withElement(typing, userId, false),
  });
  const members = chat.members + (wasIn === isIn ? 0 : isIn ? 1 : -1);
  // Joining sets the mark to the newest message.
  if (isIn) return applyMark(withChat(next, roomId, { members }), roomId, userId, at);
  if (userId !== state.me?.userId) return withChat(next, roomId, { members });
  const windows = (chat.windows ?? []).flatMap(([from, to]): Windows => {
    if (to !== null) return [[from, to]];
    return at < from ? [] : [[from, at]];
  });
  return withChat(next, roomId, { members, windows, role: undefined });
}

export function applyGroupChange(state: State, push: PushData<'change group'>): State {
  const { by: _, at: __, roomId, about, ...changes } = push;
  return withChat(state, roomId, { ...changes, ...('about' in push ? { about: about ?? undefined } : {}) });
}

export const applyRole = (
  state: State,
  { roomId, userId, role }: { readonly roomId: string; readonly userId: string; readonly role: Chat['role'] },
): State => (userId === state.me?.userId ? withChat(state, roomId, { role }) : state);
