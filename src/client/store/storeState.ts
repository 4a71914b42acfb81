import type { ClientError, ClientState, Message, User } from '../types.js';
import type { Entry, Presence } from './storeTypes.js';

export interface RoomState {
  readonly roomId: string;
  /** Undefined until the chat is known; then the room is in the list of chats. */
  readonly chat: { readonly members: readonly string[]; readonly createdAt: string } | undefined;
  /** Ascending by `seq`, each once; a room that is not open has the newest only. */
  readonly known: readonly Message[];
  /** How far each member has read; a mark never goes back. */
  readonly marks: ReadonlyMap<string, number>;
  /** This user's mark on this device, which the server may not have yet. */
  readonly wishedMark: number;
  /** Members who are typing. */
  readonly typing: ReadonlySet<string>;
  /** Whether its history is shown. */
  readonly isOpen: boolean;
  /** Of its history: nothing fetched, a page being fetched, pages here, or the error of the last fetch. */
  readonly pages: 'none' | 'loading' | 'some' | ClientError;
}

export interface Unsent {
  readonly roomId: string;
  readonly entry: Exclude<Entry, { readonly state: 'stored' }>;
}

/** Everything that a device knows. It is immutable: a fold makes the next state. */
export interface State {
  readonly connection: ClientState;
  readonly me: User | undefined;
  readonly users: ReadonlyMap<string, User>;
  /** Erased users, whatever comes later. */
  readonly erased: ReadonlySet<string>;
  readonly friends: ReadonlySet<string>;
  readonly rooms: ReadonlyMap<string, RoomState>;
  readonly presence: ReadonlyMap<string, Presence>;
  /** Users whose presence is from before the connection was lost. */
  readonly stale: ReadonlySet<string>;
  /** By `messageId`, in the order they were queued. */
  readonly unsent: ReadonlyMap<string, Unsent>;
  readonly hasChats: boolean;
  readonly hasFriends: boolean;
  /** Where the next page of chats begins; undefined: there is none. */
  readonly nextChats: string | undefined;
}

export const EMPTY_STATE: State = {
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

function emptyRoom(roomId: string): RoomState {
  return {
    roomId,
    chat: undefined,
    known: [],
    marks: new Map(),
    wishedMark: 0,
    typing: new Set(),
    isOpen: false,
    pages: 'none',
  };
}

/** The room's state, empty for a room that is not known. */
export function roomOf(state: State, roomId: string): RoomState {
  return state.rooms.get(roomId) ?? emptyRoom(roomId);
}

/** Changes fields of one room; gives the same state if nothing changes. */
export function withRoom(state: State, roomId: string, changes: Partial<RoomState>): State {
  const room = roomOf(state, roomId);
  const next = { ...room, ...changes };
  if (state.rooms.has(roomId) && isShallowEqual(room, next)) return state;
  return { ...state, rooms: new Map(state.rooms).set(roomId, next) };
}

function isShallowEqual<T extends object>(a: T, b: T): boolean {
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

/** Gives `previous` if `next` is shallowly equal, so that comparing by identity shows no change. */
export function reuseIfEqual<T extends object>(previous: T | undefined, next: T): T {
  return previous !== undefined && isShallowEqual(previous, next) ? previous : next;
}

/** Adds the element; gives the same set if it is in it. */
export function withElement<T>(set: ReadonlySet<T>, element: T): ReadonlySet<T> {
  return set.has(element) ? set : new Set(set).add(element);
}

/** Removes the element; gives the same set if it is not in it. */
export function withoutElement<T>(set: ReadonlySet<T>, element: T): ReadonlySet<T> {
  if (!set.has(element)) return set;
  const next = new Set(set);
  next.delete(element);
  return next;
}

/** Sets the key; gives the same map if it has that value. */
export function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return map.has(key) && Object.is(map.get(key), value) ? map : new Map(map).set(key, value);
}

/** Deletes the key; gives the same map if it is not in it. */
export function withoutKey<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}

export interface Watched<V> {
  get(): V;
  subscribe(listener: () => void): () => void;
}

/**
 * One immutable state, changed by folds. Listeners are called after the turn in which it changed, once
 * for all changes: a thousand pushes that arrive together are drawn once.
 */
export class Observable<S> {
  #state: S;
  #isScheduled = false;
  readonly #watches = new Set<() => void>();

  constructor(
    beginning: S,
    private readonly report: (error: unknown) => void,
  ) {
    this.#state = beginning;
  }

  get state(): S {
    return this.#state;
  }

  apply(fold: (state: S) => S): void {
    const before = this.#state;
    this.#state = fold(before);
    if (this.#state === before || this.#isScheduled) return;
    this.#isScheduled = true;
    // Not a timer: browsers delay those of hidden pages by up to a minute.
    void Promise.resolve().then(() => this.#notify());
  }

  /** Watches a part of the state; `view` must give the same object for a part that did not change. */
  watch<V>(view: (state: S) => V): Watched<V> {
    return {
      get: () => view(this.#state),
      subscribe: (listener) => {
        let shown = view(this.#state);
        const look = (): void => {
          const now = view(this.#state);
          if (Object.is(now, shown)) return;
          shown = now;
          listener();
        };
        this.#watches.add(look);
        return () => this.#watches.delete(look);
      },
    };
  }

  #notify(): void {
    this.#isScheduled = false;
    for (const look of [...this.#watches]) {
      try {
        look();
      } catch (error) {
        this.report(error);
      }
    }
  }
}

/**
 * Runs one at a time. Calls during a run share one more run after it, so that each call is followed by
 * a whole run.
 */
export function rerunIfCalled(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    following = undefined;
    current = run().finally(() => {
      if (following === undefined) current = undefined;
    });
    return current;
  };
  return () => {
    if (current === undefined) return begin();
    following ??= current.then(begin, begin);
    return following;
  };
}

/** Runs one at a time: a call during a run joins it. */
export function singleFlight(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  return () => {
    current ??= run().finally(() => {
      current = undefined;
    });
    return current;
  };
}
