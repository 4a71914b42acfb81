import type { Chat, ClientState, Message, PushData, RequestAnswer, User } from '../types.js';
import {
  EMPTY_STATE,
  type RoomState,
  reuseIfEqual,
  roomOf,
  type State,
  withElement,
  withEntry,
  withoutElement,
  withoutKey,
  withRoom,
} from './storeState.js';
import type { Presence } from './storeTypes.js';

/**
 * Folds of users, chats, messages and marks. Each only adds: the order and the number of answers, pages
 * and pushes make no difference.
 */

/**
 * Merges by `seq`, each message once; one that is erased or deleted in either list is so. The order in which
 * answers, pushes and pages arrive makes no difference. Gives `known` itself when nothing is new.
 */
function mergeMessages(known: readonly Message[], more: readonly Message[]): readonly Message[] {
  const [first] = more;
  if (first === undefined) return known;
  const last = known.at(-1);
  // The most frequent case: one more at the end.
  if (more.length === 1 && (last === undefined || last.seq < first.seq)) return [...known, first];
  const bySeq = new Map(known.map((message) => [message.seq, message]));
  let isNew = false;
  for (const message of more) {
    const before = bySeq.get(message.seq);
    if (before !== undefined && lossOf(before) >= lossOf(message)) continue;
    bySeq.set(message.seq, message);
    isNew = true;
  }
  return isNew ? [...bySeq.values()].sort((a, b) => a.seq - b.seq) : known;
}

/** How much of a message is gone. It never comes back. */
const lossOf = ({ deleted, erased }: Message): number => (deleted ? 2 : erased ? 1 : 0);

/** The newest messages, back to the first gap. */
export function newestWithoutGap(known: readonly Message[]): readonly Message[] {
  let start = known.length;
  let seq: number | undefined;
  for (let i = known.length - 1; i >= 0; i--) {
    const message = known[i];
    if (message === undefined || (seq !== undefined && message.seq !== seq - 1)) break;
    seq = message.seq;
    start = i;
  }
  return start === 0 ? known : known.slice(start);
}

/** The message after the erasure of its sender. */
function eraseText(message: Message): Message {
  return lossOf(message) > 0 ? message : { ...message, message: null, erased: true };
}

/** Removes the text of a deleted message. An unknown one comes without its text. */
export function applyDeletion(state: State, { roomId, seq, by }: PushData<'delete message'>): State {
  const { known } = roomOf(state, roomId);
  const found = known.find((message) => message.seq === seq);
  if (!found || found.deleted) return state;
  const { erased: _, ...rest } = found;
  const deleted: Message = { ...rest, message: null, deleted: { by } };
  return withRoom(state, roomId, { known: known.map((one) => (one === found ? deleted : one)) });
}

/** A user who is erased stays so, whatever comes later. */
function applyUser(state: State, user: User): State {
  const before = state.users.get(user.userId);
  if (user.erased === true) return applyErasure(keepUser(state, user), user.userId);
  return before?.erased === true || state.erased.has(user.userId)
    ? keepUser(state, { ...user, username: null, erased: true })
    : keepUser(state, user);
}

function keepUser(state: State, user: User): State {
  const next = reuseIfEqual(state.users.get(user.userId), user);
  const users = withEntry(state.users, user.userId, next);
  const me = state.me?.userId === user.userId ? next : state.me;
  return users === state.users && me === state.me ? state : { ...state, users, me };
}

export function applyMessages(state: State, roomId: string, messages: readonly Message[]): State {
  const room = roomOf(state, roomId);
  const readable = messages.map((message) =>
    state.erased.has(message.senderId) ? eraseText(message) : message,
  );
  const all = mergeMessages(room.known, readable);
  let { marks } = room;
  let { unsent } = state;
  for (const { senderId, seq, messageId } of messages) {
    // The sender has read up to here; there is no separate push for it.
    marks = raiseMark(marks, senderId, seq);
    unsent = withoutKey(unsent, messageId);
  }
  // A room that is not open needs its last message only, for the list of chats.
  const known = room.isOpen ? all : reuseIfEqual(room.known, all.slice(-1));
  const next = withRoom(state, roomId, { known, marks });
  return unsent === state.unsent ? next : { ...next, unsent };
}

export function applyMark(state: State, roomId: string, userId: string, upTo: number): State {
  return withRoom(state, roomId, { marks: raiseMark(roomOf(state, roomId).marks, userId, upTo) });
}

function raiseMark(marks: ReadonlyMap<string, number>, userId: string, upTo: number) {
  return (marks.get(userId) ?? 0) < upTo ? withEntry(marks, userId, upTo) : marks;
}

/** Folds a chat in, with its members, last message and marks. */
export function applyChat(state: State, chat: Chat): State {
  const members = chat.participants.map(({ userId }) => userId);
  let next = state;
  for (const participant of chat.participants) next = applyUser(next, participant);
  if (roomOf(next, chat.roomId).chat === undefined) {
    next = withRoom(next, chat.roomId, { chat: { members, createdAt: chat.createdAt } });
  }
  for (const [userId, upTo] of Object.entries(chat.readUpTo))
    next = applyMark(next, chat.roomId, userId, upTo);
  return chat.lastMessage === null ? next : applyMessages(next, chat.roomId, [chat.lastMessage]);
}

export function applyFriend(state: State, friend: User): State {
  const next = applyUser(state, friend);
  if (next.erased.has(friend.userId)) return next;
  const friends = withElement(next.friends, friend.userId);
  return friends === next.friends ? next : { ...next, friends };
}

/** Removes the name and texts of an erased user, and their friendship with this user. */
export function applyErasure(state: State, userId: string): State {
  if (state.erased.has(userId)) return state;
  const next: State = {
    ...state,
    erased: withElement(state.erased, userId),
    friends: withoutElement(state.friends, userId),
    presence: withoutKey(state.presence, userId),
    stale: withoutElement(state.stale, userId),
    rooms: new Map(
      [...state.rooms].map(([roomId, room]) => {
        const isTheirs = ({ senderId }: Message): boolean => senderId === userId;
        const known = room.known.some(isTheirs)
          ? room.known.map((message) => (isTheirs(message) ? eraseText(message) : message))
          : room.known;
        return [roomId, reuseIfEqual(room, { ...room, known, typing: withoutElement(room.typing, userId) })];
      }),
    ),
  };
  const known = state.users.get(userId);
  return known === undefined ? next : keepUser(next, { ...known, username: null, erased: true });
}

/** Folds in which the last value wins: the connection, presence and typing. */

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
  const quiet = (room: RoomState): RoomState =>
    room.typing.size === 0 ? room : { ...room, typing: new Set() };
  const rooms = new Map([...state.rooms].map(([roomId, room]) => [roomId, quiet(room)]));
  return { ...next, rooms, stale: new Set(state.presence.keys()) };
}

/**
 * Forgets the known history, for a connection that began without a cursor: none of it may be true, as on a
 * server that was restored. Unsent messages and open rooms stay.
 */
export function resetToPresent(state: State): State {
  const open = [...state.rooms.keys()].filter((roomId) => roomOf(state, roomId).isOpen);
  const { connection, me, unsent } = state;
  const users = new Map(me === undefined ? [] : [[me.userId, me]]);
  return open.reduce<State>((next, roomId) => withRoom(next, roomId, { isOpen: true, pages: 'loading' }), {
    ...EMPTY_STATE,
    ...{ connection, me, unsent, users },
  });
}

/** Folds a pushed message in; its sender has stopped typing. */
export function applyPushedMessage(state: State, message: Message): State {
  return applyMessages(applyTyping(state, message.roomId, message.senderId, false), message.roomId, [
    message,
  ]);
}

export function applyTyping(state: State, roomId: string, userId: string, isTyping: boolean): State {
  const before = roomOf(state, roomId).typing;
  const after =
    isTyping && !state.erased.has(userId) ? withElement(before, userId) : withoutElement(before, userId);
  return after === before ? state : withRoom(state, roomId, { typing: after });
}

export function applyPresence(state: State, userId: string, presence: Presence): State {
  if (state.erased.has(userId)) return state;
  const stale = withoutElement(state.stale, userId);
  return { ...state, stale, presence: withEntry(state.presence, userId, presence) };
}

/**
 * Folds a page of the list of chats in. The newest page also ends presence that is from before the
 * connection was lost, and not in the page.
 */
export function applyChatPage(
  state: State,
  { chats, presence: there, next: after }: RequestAnswer<'get active chats'>,
  isNewest: boolean,
): State {
  let next = chats.reduce(applyChat, state);
  for (const [userId, { isOnline, lastSeen }] of Object.entries(there)) {
    next = applyPresence(next, userId, presenceOf(isOnline, lastSeen));
  }
  // A refresh of the newest page must not lose how far the list was fetched.
  const nextChats = isNewest && state.hasChats ? state.nextChats : after;
  next = { ...next, hasChats: true, nextChats };
  if (!isNewest || next.stale.size === 0) return next;
  const known = new Map([...next.presence].filter(([userId]) => !next.stale.has(userId)));
  return { ...next, presence: known, stale: new Set() };
}

export function presenceOf(isOnline: boolean, lastSeen: string | null): Presence {
  if (isOnline) return { state: 'online' };
  return lastSeen === null ? { state: 'unknown' } : { state: 'offline', lastSeen };
}
