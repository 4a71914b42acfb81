import type { Chat, Message, User } from '../types.js';
import { excluding, including, kept, removing, roomOf, type State, setting, withRoom } from './storeState.js';

/**
 * Both together, ascending by `seq`, each once; what is erased stays so, whichever of the two says
 * it. Answers, pushes and pages may come in any order and overlap: the outcome is the same, and it
 * is `known` itself when there is nothing new.
 */
function joined(known: readonly Message[], more: readonly Message[]): readonly Message[] {
  const [first] = more;
  if (first === undefined) return known;
  const last = known.at(-1);
  // Nearly always: one more at the end.
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

/** The newest messages as far back as there is no gap. */
export function unbroken(known: readonly Message[]): readonly Message[] {
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

/** The message as it is left when its sender has been erased. */
function wiped(message: Message): Message {
  return message.erased === true ? message : { ...message, message: null, erased: true };
}

/**
 * What is told of users, chats, messages and marks, folded into what is known. Each fold only adds:
 * in whatever order the answers, pages and pushes come, and however often, the outcome is the same.
 */

/** A user as somebody tells of them; erased is for ever. */
export function user(state: State, told: User): State {
  const before = state.users.get(told.userId);
  if (told.erased === true) return erased(keepUser(state, told), told.userId);
  return before?.erased === true || state.erased.has(told.userId)
    ? keepUser(state, { ...told, username: null, erased: true })
    : keepUser(state, told);
}

function keepUser(state: State, told: User): State {
  const next = kept(state.users.get(told.userId), told);
  const users = setting(state.users, told.userId, next);
  const me = state.me?.userId === told.userId ? next : state.me;
  return users === state.users && me === state.me ? state : { ...state, users, me };
}

/** Messages of one room: an answer, a push, or a page. */
export function messages(state: State, roomId: string, told: readonly Message[]): State {
  const room = roomOf(state, roomId);
  const readable = told.map((message) => (state.erased.has(message.senderId) ? wiped(message) : message));
  const all = joined(room.known, readable);
  let { marks } = room;
  let { unsent } = state;
  for (const { senderId, seq, messageId } of told) {
    // Sending moves the sender's mark, without a push of its own.
    marks = furthest(marks, senderId, seq);
    unsent = removing(unsent, messageId);
  }
  // Of a room that nobody looks at, the list of chats shows the last message only.
  const known = room.isOpen ? all : kept(room.known, all.slice(-1));
  const next = withRoom(state, roomId, { known, marks });
  return unsent === state.unsent ? next : { ...next, unsent };
}

/** How far somebody has read. */
export function mark(state: State, roomId: string, userId: string, upTo: number): State {
  return withRoom(state, roomId, { marks: furthest(roomOf(state, roomId).marks, userId, upTo) });
}

function furthest(marks: ReadonlyMap<string, number>, userId: string, upTo: number) {
  return (marks.get(userId) ?? 0) < upTo ? setting(marks, userId, upTo) : marks;
}

/** A chat, with all that it brings: its members, its last message and its marks. */
export function chat(state: State, told: Chat): State {
  const members = told.participants.map(({ userId }) => userId);
  let next = state;
  for (const participant of told.participants) next = user(next, participant);
  if (roomOf(next, told.roomId).chat === undefined) {
    next = withRoom(next, told.roomId, { chat: { members, createdAt: told.createdAt } });
  }
  for (const [userId, upTo] of Object.entries(told.readUpTo)) next = mark(next, told.roomId, userId, upTo);
  return told.lastMessage === null ? next : messages(next, told.roomId, [told.lastMessage]);
}

/** A friend, new or known. */
export function friend(state: State, told: User): State {
  const next = user(state, told);
  if (next.erased.has(told.userId)) return next;
  const friends = including(next.friends, told.userId);
  return friends === next.friends ? next : { ...next, friends };
}

/** Somebody was erased: their name, their texts, and what they were to this user. */
export function erased(state: State, userId: string): State {
  if (state.erased.has(userId)) return state;
  const next: State = {
    ...state,
    erased: including(state.erased, userId),
    friends: excluding(state.friends, userId),
    presence: removing(state.presence, userId),
    stale: excluding(state.stale, userId),
    rooms: new Map(
      [...state.rooms].map(([roomId, room]) => {
        const isTheirs = ({ senderId }: Message): boolean => senderId === userId;
        const known = room.known.some(isTheirs)
          ? room.known.map((message) => (isTheirs(message) ? wiped(message) : message))
          : room.known;
        return [roomId, kept(room, { ...room, known, typing: excluding(room.typing, userId) })];
      }),
    ),
  };
  const known = state.users.get(userId);
  return known === undefined ? next : keepUser(next, { ...known, username: null, erased: true });
}
