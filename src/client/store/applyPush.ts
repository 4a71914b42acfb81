import type { ClientState, Message, RequestAnswer } from '../types.js';
import { chat, messages, user } from './folds.js';
import {
  excluding,
  including,
  nothing,
  type RoomState,
  roomOf,
  type State,
  setting,
  withRoom,
} from './storeState.js';
import type { Presence } from './storeTypes.js';

/**
 * What holds only until the next word of it, folded into what is known: the connection, presence and
 * typing. Here the last word wins.
 */

/** The connection's state. Who was typing when it was lost may have stopped since. */
export function connection(state: State, told: ClientState): State {
  const next = { ...state, connection: told };
  if (told.state === 'replaying' || told.state === 'live') {
    return user({ ...next, me: state.users.get(told.user.userId) ?? told.user }, told.user);
  }
  if (told.state !== 'waiting') return next;
  const quiet = (room: RoomState): RoomState =>
    room.typing.size === 0 ? room : { ...room, typing: new Set() };
  const rooms = new Map([...state.rooms].map(([roomId, room]) => [roomId, quiet(room)]));
  return { ...next, rooms, stale: new Set(state.presence.keys()) };
}

/**
 * A connection that began with the present: of what was known before, nothing may be true, as of a
 * server whose data were put back. What is unsent stays, and who looks at a room goes on doing so.
 */
export function anew(state: State): State {
  const open = [...state.rooms.keys()].filter((roomId) => roomOf(state, roomId).isOpen);
  const { connection, me, unsent } = state;
  const users = new Map(me === undefined ? [] : [[me.userId, me]]);
  return open.reduce<State>((next, roomId) => withRoom(next, roomId, { isOpen: true, pages: 'loading' }), {
    ...nothing,
    ...{ connection, me, unsent, users },
  });
}

/** A message as it is pushed: who sent it types no more. */
export function pushed(state: State, message: Message): State {
  return messages(typing(state, message.roomId, message.senderId, false), message.roomId, [message]);
}

/** Whether somebody is typing. */
export function typing(state: State, roomId: string, userId: string, isTyping: boolean): State {
  const before = roomOf(state, roomId).typing;
  const after = isTyping && !state.erased.has(userId) ? including(before, userId) : excluding(before, userId);
  return after === before ? state : withRoom(state, roomId, { typing: after });
}

/** Whether somebody is there. */
export function presence(state: State, userId: string, told: Presence): State {
  if (state.erased.has(userId)) return state;
  const stale = excluding(state.stale, userId);
  return { ...state, stale, presence: setting(state.presence, userId, told) };
}

/**
 * A page of the list of chats. With the newest one, presence that was told before the connection was
 * lost, and not again by it, is no longer known.
 */
export function chats(
  state: State,
  { chats: told, presence: there, next: after }: RequestAnswer<'get active chats'>,
  isNewest: boolean,
): State {
  let next = told.reduce(chat, state);
  for (const [userId, { isOnline, lastSeen }] of Object.entries(there)) {
    next = presence(next, userId, presenceOf(isOnline, lastSeen));
  }
  // The newest page does not know how far the list has been fetched.
  const nextChats = isNewest && state.hasChats ? state.nextChats : after;
  next = { ...next, hasChats: true, nextChats };
  if (!isNewest || next.stale.size === 0) return next;
  const known = new Map([...next.presence].filter(([userId]) => !next.stale.has(userId)));
  return { ...next, presence: known, stale: new Set() };
}

/** Presence as an answer or a push tells it. */
export function presenceOf(isOnline: boolean, lastSeen: string | null): Presence {
  if (isOnline) return { state: 'online' };
  return lastSeen === null ? { state: 'unknown' } : { state: 'offline', lastSeen };
}
