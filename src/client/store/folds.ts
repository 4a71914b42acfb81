import type { Chat, Message, User } from '../types.js';
import {
  reuseIfEqual,
  roomOf,
  type State,
  withElement,
  withEntry,
  withoutElement,
  withoutKey,
  withRoom,
} from './storeState.js';

/**
 * Merges by `seq`, each message once; one that is erased in either list is erased. The order in which
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
    if (before !== undefined && (before.erased === true || message.erased !== true)) continue;
    bySeq.set(message.seq, message);
    isNew = true;
  }
  return isNew ? [...bySeq.values()].sort((a, b) => a.seq - b.seq) : known;
}

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
  return message.erased === true ? message : { ...message, message: null, erased: true };
}

/**
 * Folds of users, chats, messages and marks. Each only adds: the order and the number of answers, pages
 * and pushes make no difference.
 */

/** A user who is erased stays so, whatever is told of them later. */
export function applyUser(state: State, told: User): State {
  const before = state.users.get(told.userId);
  if (told.erased === true) return applyErasure(keepUser(state, told), told.userId);
  return before?.erased === true || state.erased.has(told.userId)
    ? keepUser(state, { ...told, username: null, erased: true })
    : keepUser(state, told);
}

function keepUser(state: State, told: User): State {
  const next = reuseIfEqual(state.users.get(told.userId), told);
  const users = withEntry(state.users, told.userId, next);
  const me = state.me?.userId === told.userId ? next : state.me;
  return users === state.users && me === state.me ? state : { ...state, users, me };
}

export function applyMessages(state: State, roomId: string, told: readonly Message[]): State {
  const room = roomOf(state, roomId);
  const readable = told.map((message) => (state.erased.has(message.senderId) ? eraseText(message) : message));
  const all = mergeMessages(room.known, readable);
  let { marks } = room;
  let { unsent } = state;
  for (const { senderId, seq, messageId } of told) {
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
export function applyChat(state: State, told: Chat): State {
  const members = told.participants.map(({ userId }) => userId);
  let next = state;
  for (const participant of told.participants) next = applyUser(next, participant);
  if (roomOf(next, told.roomId).chat === undefined) {
    next = withRoom(next, told.roomId, { chat: { members, createdAt: told.createdAt } });
  }
  for (const [userId, upTo] of Object.entries(told.readUpTo))
    next = applyMark(next, told.roomId, userId, upTo);
  return told.lastMessage === null ? next : applyMessages(next, told.roomId, [told.lastMessage]);
}

export function applyFriend(state: State, told: User): State {
  const next = applyUser(state, told);
  if (next.erased.has(told.userId)) return next;
  const friends = withElement(next.friends, told.userId);
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
        return [
          roomId,
          reuseIfEqual(room, { ...room, known, applyTyping: withoutElement(room.applyTyping, userId) }),
        ];
      }),
    ),
  };
  const known = state.users.get(userId);
  return known === undefined ? next : keepUser(next, { ...known, username: null, erased: true });
}
