import type { ClientError } from '../clientErrors.js';
import type { ClientState, Message, User } from '../types.js';
import type { Entry, Presence } from './storeTypes.js';

/** What is known of one room. */
export interface RoomState {
  readonly roomId: string;
  /** Known once a chat came with it: then it is in the list of chats. */
  readonly chat: { readonly members: readonly string[]; readonly createdAt: string } | undefined;
  /** Ascending by `seq`, each once; a room that nobody looks at has the newest only. */
  readonly known: readonly Message[];
  /** How far each member has read; a mark never goes back. */
  readonly marks: ReadonlyMap<string, number>;
  /** This user's own mark as wished, before the server has said so. */
  readonly wish: number;
  /** Members who are typing. */
  readonly typing: ReadonlySet<string>;
  /** Whether somebody looks at its history. */
  readonly isOpen: boolean;
  /** Of its history: whether a page has come, is on its way, or could not be had. */
  readonly pages: 'none' | 'loading' | 'some' | ClientError;
}

/** An entry that the server does not have yet. */
export interface Unsent {
  readonly roomId: string;
  readonly entry: Exclude<Entry, { readonly state: 'stored' }>;
}

/** All that a device knows. Never changed: a fold gives the next one. */
export interface State {
  readonly connection: ClientState;
  readonly me: User | undefined;
  readonly users: ReadonlyMap<string, User>;
  /** Who has been erased, whatever else is still told of them. */
  readonly erased: ReadonlySet<string>;
  readonly friends: ReadonlySet<string>;
  readonly rooms: ReadonlyMap<string, RoomState>;
  readonly presence: ReadonlyMap<string, Presence>;
  /** Of these the presence was told before the connection was lost. */
  readonly stale: ReadonlySet<string>;
  /** By `messageId`, in the order they were queued. */
  readonly unsent: ReadonlyMap<string, Unsent>;
  readonly hasChats: boolean;
  readonly hasFriends: boolean;
  /** Where the list of chats goes on. */
  readonly nextChats: string | undefined;
}

/** What a device knows before it has asked anything. */
export const nothing: State = {
  connection: { state: 'new' },
  me: undefined,
  users: new Map(),
  erased: new Set(),
  friends: new Set(),
  rooms: new Map(),
  presence: new Map(),
  stale: new Set(),
  unsent: new Map(),
  hasChats: false,
  hasFriends: false,
  nextChats: undefined,
};

/** What is known of a room before anything was told of it. */
function emptyRoom(roomId: string): RoomState {
  return {
    roomId,
    chat: undefined,
    known: [],
    marks: new Map(),
    wish: 0,
    typing: new Set(),
    isOpen: false,
    pages: 'none',
  };
}

/** The room as it is known, if only by its name. */
export function roomOf(state: State, roomId: string): RoomState {
  return state.rooms.get(roomId) ?? emptyRoom(roomId);
}

/** With these fields of one room; the same state when they are what they were. */
export function withRoom(state: State, roomId: string, changes: Partial<RoomState>): State {
  const room = roomOf(state, roomId);
  const next = { ...room, ...changes };
  if (state.rooms.has(roomId) && same(room, next)) return state;
  return { ...state, rooms: new Map(state.rooms).set(roomId, next) };
}

/** Whether two objects have identical fields, or two arrays identical elements. */
function same<T extends object>(a: T, b: T): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((element, i) => Object.is(element, b[i]));
  }
  const names = Object.keys(a);
  // Both are of one type: the fields of one may be looked up in the other.
  const [one, other] = [a, b] as Readonly<Record<string, unknown>>[];
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.is(one?.[name], other?.[name]))
  );
}

/** `next`, or `previous` when nothing in it is another: who compares identities sees no change. */
export function kept<T extends object>(previous: T | undefined, next: T): T {
  return previous !== undefined && same(previous, next) ? previous : next;
}

/** With one more element; the same set when it has it. */
export function including<T>(set: ReadonlySet<T>, element: T): ReadonlySet<T> {
  return set.has(element) ? set : new Set(set).add(element);
}

/** Without this element; the same set when it does not have it. */
export function excluding<T>(set: ReadonlySet<T>, element: T): ReadonlySet<T> {
  if (!set.has(element)) return set;
  const next = new Set(set);
  next.delete(element);
  return next;
}

/** With this value under the key; the same map when it is there. */
export function setting<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return map.has(key) && Object.is(map.get(key), value) ? map : new Map(map).set(key, value);
}

/** Without this key; the same map when it does not have it. */
export function removing<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}
