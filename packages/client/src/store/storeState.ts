import type { EntryOf, OutboxEntry } from '../outbox.js';
import type { ClientError, ClientState, Message, Preferences, User } from '../types.js';
import type { ChatInfo, Happening, Presence } from './storeTypes.js';

export interface RoomState {
  readonly roomId: string;
  /** Undefined until the chat is known; then the room is in a list of chats. */
  readonly chat?: ChatInfo | undefined;
  /** All members of a private chat and of a small group; of a larger one me and those who are in it longest. */
  readonly participants: readonly string[];
  /**
   * What pushes said last of things that no list here shows: members beyond `participants`, reactions beyond the first
   * 20. It makes a push that comes twice count once.
   */
  readonly told: ReadonlyMap<string, boolean>;
  /** How often I came back to this group, as far as this device was told. */
  readonly returns: number;
  /** Ascending by `seq`, each once; a room that is not open has the newest `MOST_KEPT` only. */
  readonly known: readonly Message[];
  /** The `seq` that is shown, with what is known around it; undefined: the newest. */
  readonly focus?: number | undefined;
  /** How far each member has read; a mark never goes back. */
  readonly marks: ReadonlyMap<string, number>;
  /** This user's mark on this device, which the server may not have yet. */
  readonly wishedMark: number;
  /** What this device was told of the group's members and settings, in order. */
  readonly happenings: readonly Happening[];
  /** Members who are typing. */
  readonly typing: ReadonlySet<string>;
  /** Whether its history is shown. */
  readonly isOpen: boolean;
  /** Of its history: nothing fetched, a page being fetched, pages here, or the error of the last fetch. */
  readonly pages: 'none' | 'loading' | 'some' | ClientError;
}

/** A queued edit, deletion or reaction. */
export type Change = Exclude<OutboxEntry, { readonly request: 'send message' }>;

export interface Refused {
  readonly entry: EntryOf<'send message'>;
  readonly error: ClientError;
}

/** Everything that a device knows. It is immutable: a fold makes the next state. */
export interface State {
  readonly connection: ClientState;
  readonly me?: User | undefined;
  readonly users: ReadonlyMap<string, User>;
  /** Erased users, whatever comes later. */
  readonly erased: ReadonlySet<string>;
  readonly friends: ReadonlySet<string>;
  readonly blocked: ReadonlySet<string>;
  readonly preferences?: Preferences | undefined;
  readonly rooms: ReadonlyMap<string, RoomState>;
  readonly presence: ReadonlyMap<string, Presence>;
  /** Users whose presence is from before the connection was lost. */
  readonly stale: ReadonlySet<string>;
  /** What waits in the outbox, in this order. */
  readonly waiting: readonly OutboxEntry[];
  /** Refused messages by `messageId`. */
  readonly refused: ReadonlyMap<string, Refused>;
  /** By `messageId`: the changes of this message among `waiting`. */
  readonly changes: ReadonlyMap<string, readonly Change[]>;
  readonly hasChats: boolean;
  readonly hasFriends: boolean;
  /** Whether the store began with what an earlier one knew. */
  readonly isKept?: true;
  /** Where the next page of chats begins; undefined: there is none. */
  readonly nextChats?: string | undefined;
  /** The same for archived chats; empty: none is fetched yet. */
  readonly nextArchived: string | undefined;
}

export const EMPTY_STATE: State = {
  connection: { state: 'new' },
  users: new Map(),
  erased: new Set(),
  friends: new Set(),
  blocked: new Set(),
  rooms: new Map(),
  presence: new Map(),
  stale: new Set(),
  waiting: [],
  refused: new Map(),
  changes: new Map(),
  hasChats: false,
  hasFriends: false,
  nextArchived: '',
};

/** The newest messages that a room keeps which is not open. Who opens it again finds them there. */
export const MOST_KEPT = 50;

function emptyRoom(roomId: string): RoomState {
  return {
    roomId,
    participants: [],
    told: new Map(),
    returns: 0,
    known: [],
    marks: new Map(),
    wishedMark: 0,
    happenings: [],
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

/** Changes fields of the chat, if it is known; `undefined` removes one. */
export function withChat(
  state: State,
  roomId: string,
  changes: { readonly [K in keyof ChatInfo]?: ChatInfo[K] | undefined },
): State {
  const { chat } = roomOf(state, roomId);
  if (!chat) return state;
  // As JSON, so that fields which are undefined are removed: only those that a chat may be without.
  const changed: ChatInfo = JSON.parse(JSON.stringify({ ...chat, ...changes }));
  return withRoom(state, roomId, {
    chat: reuseIfSame(chat, changed),
  });
}

function isShallowEqual<T extends object>(a: T, b: T): boolean {
  if (a === b) return true;
  // A room may have 10,000 entries, whose indexes as names would take some ms.
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((element, i) => Object.is(element, b[i]));
  const names = Object.keys(a);
  // Both are of one type: the fields of one may be looked up in the other.
  const [one, other] = [a, b] as Readonly<Record<string, unknown>>[];
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.is(one?.[name], other?.[name]))
  );
}

/** Gives `previous` if `next` is shallowly equal, so that comparing by identity shows no change. */
export function reuseIfEqual<T extends object>(previous: T | undefined, next: T): T {
  return previous && isShallowEqual(previous, next) ? previous : next;
}

/** Whether both have the same content, however deep. Both come from JSON. */
export const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Gives `previous` if `next` has the same content. */
export const reuseIfSame = <T>(previous: T | undefined, next: T): T =>
  previous !== undefined && isSame(previous, next) ? previous : next;

/** Makes a value of a key again; it is the same object while its fields stay the same. */
export function remake<K extends object, T extends object>(made: WeakMap<K, T>, key: K, next: T): T {
  const value = reuseIfEqual(made.get(key), next);
  made.set(key, value);
  return value;
}

/** The view with each object of the last one that is shallowly equal, and that one itself if all are. */
function reuseParts<V extends object>(last: V | undefined, next: V): V {
  const parts = Object.entries(next).map(([name, part]: [string, unknown]) => {
    // A part of the same name, or undefined.
    const one: unknown = last?.[name as keyof V];
    const isObject = typeof part === 'object' && part !== null && typeof one === 'object' && one !== null;
    return [name, isObject ? reuseIfEqual(one, part) : part];
  });
  // It has the names of `next`, with parts of their types.
  return reuseIfEqual(last, Object.fromEntries(parts) as V);
}

/** The set with or without this element; the same set if nothing changes. */
export function withElement<T>(set: ReadonlySet<T>, element: T, on: boolean): ReadonlySet<T> {
  if (set.has(element) === on) return set;
  const next = new Set(set);
  if (on) next.add(element);
  else next.delete(element);
  return next;
}

/** Sets the key, or deletes it where the value is undefined; gives the same map if nothing changes. */
export function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V | undefined): ReadonlyMap<K, V> {
  if (map.get(key) === value) return map;
  const next = new Map(map);
  if (value === undefined) next.delete(key);
  else next.set(key, value);
  return next;
}

export type View<S, V> = (state: S, last: V | undefined) => V;

export interface Watched<V> {
  get(): V;
  subscribe(listener: () => void): () => void;
}

/** Folds that are repeated behind one answer; of more, the newest: the answer has the others. */
const MOST_REPEATED = 10_000;

type Fold<S> = (state: S) => S;

/** By when it came; a query's answer by when it was asked for, as it may be that old. */
type Told<S> = Map<number, Fold<S>>;

/**
 * One immutable state, changed by folds. Listeners are called after the turn in which it changed, once
 * for all changes: a thousand pushes that arrive together are drawn once.
 */
export class Observable<S> {
  #state: S;
  readonly #report: (error: unknown) => void;
  /** Counts what is told and asked. */
  #time = 0;
  /** For each query on its way: what the server told since it was asked. */
  readonly #queries = new Set<Told<S>>();
  #isScheduled = false;
  readonly #watches = new Set<() => void>();

  constructor(beginning: S, report: (error: unknown) => void) {
    this.#state = beginning;
    this.#report = report;
  }

  get state(): S {
    return this.#state;
  }

  get = (): S => this.#state;

  /** Calls `listener` after each turn in which the state changed. */
  subscribe = (listener: () => void): (() => void) => {
    this.#watches.add(listener);
    return () => this.#watches.delete(listener);
  };

  apply(fold: Fold<S>): void {
    const before = this.#state;
    this.#state = fold(before);
    if (this.#state === before || this.#isScheduled) return;
    this.#isScheduled = true;
    // Not a timer: browsers delay those of hidden pages by up to a minute.
    void Promise.resolve().then(() => {
      this.#isScheduled = false;
      for (const look of [...this.#watches]) {
        try {
          look();
        } catch (error) {
          this.#report(error);
        }
      }
    });
  }

  /** As `apply`, for what the server told: a push, or the answer to a command. */
  receive(fold: Fold<S>): void {
    this.apply(fold);
    this.#remember(new Map([[++this.#time, fold]]));
  }

  /**
   * Asks, and folds the answer in. The answer may be older than what was told since it was asked for, which is therefore
   * folded in once more behind it.
   */
  async query<A>(ask: () => Promise<A>, fold: (state: S, answer: A) => S): Promise<A> {
    const told: Told<S> = new Map();
    const askedAt = ++this.#time;
    this.#queries.add(told);
    try {
      const answer = await ask();
      // For other queries too, the answer is not younger than this one was asked for.
      told.set(askedAt, (state) => fold(state, answer));
      const inOrder = [...told].sort(([a], [b]) => a - b);
      this.apply((state) => inOrder.reduce((next, [, again]) => again(next), state));
      this.#remember(told);
      return answer;
    } finally {
      this.#queries.delete(told);
    }
  }

  #remember(told: Told<S>): void {
    for (const all of this.#queries) {
      for (const [at, fold] of told) all.set(at, fold);
      for (const at of all.keys()) if (all.size > MOST_REPEATED) all.delete(at);
    }
  }

  /** Watches a part of the state; `view` makes it of the state and of what it made last. */
  watch<V extends object>(view: View<S, V>): Watched<V> {
    let made: { readonly of: S; readonly part: V } | undefined;
    const get = (): V => {
      const of = this.#state;
      // A part that did not change is the same object.
      if (made?.of !== of) made = { of, part: reuseParts(made?.part, view(of, made?.part)) };
      return made.part;
    };
    return {
      get,
      subscribe: (listener) => {
        let shown = get();
        const look = (): void => {
          if (get() === shown) return;
          shown = get();
          listener();
        };
        return this.subscribe(look);
      },
    };
  }
}
