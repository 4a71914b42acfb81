import type { ClientState, User } from '../types.js';
import { eraseText } from './messageFolds.js';
import {
  EMPTY_STATE,
  type RoomState,
  reuseIfEqual,
  reuseIfSame,
  roomOf,
  type State,
  withElement,
  withEntry,
  withRoom,
} from './storeState.js';
import type { Presence } from './storeTypes.js';

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
  if (user === undefined) return next;
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
