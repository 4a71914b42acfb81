import type { ClientState, Message, User } from '../types.js';
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
  withoutElement,
  withoutKey,
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
  const users = withEntry(state.users, user.userId, next);
  const me = state.me?.userId === user.userId ? next : state.me;
  return users === state.users && me === state.me ? state : { ...state, users, me };
}

export function applyFriend(state: State, friend: User): State {
  const next = applyUser(state, friend);
  if (next.erased.has(friend.userId)) return next;
  const friends = withElement(next.friends, friend.userId);
  return friends === next.friends ? next : { ...next, friends };
}

/** Ends friendship and contact: presence of the other is no longer pushed. */
export function applyEndOfContact(state: State, userId: string): State {
  const friends = withoutElement(state.friends, userId);
  const presence = withoutKey(state.presence, userId);
  return friends === state.friends && presence === state.presence ? state : { ...state, friends, presence };
}

export function applyBlock(state: State, userId: string, isBlocked: boolean): State {
  const blocked = isBlocked ? withElement(state.blocked, userId) : withoutElement(state.blocked, userId);
  const next = blocked === state.blocked ? state : { ...state, blocked };
  return isBlocked ? applyEndOfContact(next, userId) : next;
}

/** Removes the name and texts of an erased user, and their friendship with this user. */
export function applyErasure(state: State, userId: string): State {
  if (state.erased.has(userId)) return state;
  const next: State = {
    ...applyEndOfContact(state, userId),
    erased: withElement(state.erased, userId),
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
  if (known === undefined) return next;
  const { backgroundColor, createdAt } = known;
  return keepUser(next, { userId, username: null, backgroundColor, createdAt, erased: true });
}

export function applyPresence(state: State, userId: string, presence: Presence): State {
  if (state.erased.has(userId)) return state;
  const stale = withoutElement(state.stale, userId);
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
  const quiet = (room: RoomState): RoomState =>
    room.typing.size === 0 ? room : { ...room, typing: new Set() };
  const rooms = new Map([...state.rooms].map(([roomId, room]) => [roomId, quiet(room)]));
  return { ...next, rooms, stale: new Set(state.presence.keys()) };
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
