import type { ClientState, Message, RequestAnswer } from '../types.js';
import { applyChat, applyMessages, applyUser } from './folds.js';
import {
  EMPTY_STATE,
  type RoomState,
  roomOf,
  type State,
  withElement,
  withEntry,
  withoutElement,
  withRoom,
} from './storeState.js';
import type { Presence } from './storeTypes.js';

/** Folds of facts that only the last one counts of: the connection, presence and typing. */

/** Folds the connection's state in. When it is lost, nobody counts as typing any more. */
export function applyConnection(state: State, told: ClientState): State {
  const next = { ...state, connection: told };
  if (told.state === 'replaying' || told.state === 'live') {
    return applyUser({ ...next, me: state.users.get(told.user.userId) ?? told.user }, told.user);
  }
  if (told.state !== 'waiting') return next;
  const quiet = (room: RoomState): RoomState =>
    room.applyTyping.size === 0 ? room : { ...room, applyTyping: new Set() };
  const rooms = new Map([...state.rooms].map(([roomId, room]) => [roomId, quiet(room)]));
  return { ...next, rooms, stale: new Set(state.presence.keys()) };
}

/**
 * Forgets what was known, for a connection that began without a cursor: none of it may be true, as on a
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
  return applyMessages(typing(state, message.roomId, message.senderId, false), message.roomId, [message]);
}

export function typing(state: State, roomId: string, userId: string, isTyping: boolean): State {
  const before = roomOf(state, roomId).applyTyping;
  const after =
    isTyping && !state.erased.has(userId) ? withElement(before, userId) : withoutElement(before, userId);
  return after === before ? state : withRoom(state, roomId, { applyTyping: after });
}

export function applyPresence(state: State, userId: string, told: Presence): State {
  if (state.erased.has(userId)) return state;
  const stale = withoutElement(state.stale, userId);
  return { ...state, stale, presence: withEntry(state.presence, userId, told) };
}

/**
 * Folds a page of the list of chats in. The newest page also ends presence that is from before the
 * connection was lost, and not in the page.
 */
export function applyChatPage(
  state: State,
  { chats: told, presence: there, next: after }: RequestAnswer<'get active chats'>,
  isNewest: boolean,
): State {
  let next = told.reduce(applyChat, state);
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
