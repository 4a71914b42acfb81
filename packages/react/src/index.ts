/**
 * Hooks of React over the store of `@parley/client`. Each renders its component again only when what it gives has changed.
 * @packageDocumentation
 */
import type {
  ChatView,
  Entry,
  MessageOptions,
  Presence,
  Room,
  RoomView,
  Snapshot,
  Store,
} from '@parley/client';
import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useMemo,
  useSyncExternalStore,
} from 'react';

const StoreContext = createContext<Store | undefined>(undefined);

export interface ParleyProviderProps {
  /** Made by `createStore`. Whoever makes it starts and closes it. */
  readonly store: Store;
  readonly children?: ReactNode;
}

/** Gives the store to the hooks of all components below. */
export const ParleyProvider = ({ store, children }: ParleyProviderProps): ReactNode =>
  createElement(StoreContext.Provider, { value: store }, children);

/** The store of the nearest provider. Throws where there is none. */
export function useStore(): Store {
  const store = useContext(StoreContext);
  if (!store) throw new Error('there is no ParleyProvider above this component');
  return store;
}

/** Renders again when this part of the snapshot is another object or value. */
function useSnapshot<T>(select: (snapshot: Snapshot) => T): T {
  const store = useStore();
  const get = (): T => select(store.get());
  return useSyncExternalStore(store.subscribe, get, get);
}

/** The lists of chats, and what fetches more of them. */
export interface Chats {
  /** Whether the lists were fetched at least once. */
  readonly isLoaded: boolean;
  /** Whether the lists are here from an earlier run, so that they can be shown before. */
  readonly isKept: boolean;
  readonly chats: readonly ChatView[];
  /** Chats that somebody opened who is no contact of this user. */
  readonly requests: readonly ChatView[];
  /** As far as `Store.moreArchived` has fetched them. */
  readonly archived: readonly ChatView[];
  /** Unread messages of `chats`. */
  readonly unread: number;
  /** Fetches a page of older chats; undefined where there are none. */
  readonly more: (() => Promise<void>) | undefined;
}

/** The chats of this user, as they change. */
export function useChats(): Chats {
  const store = useStore();
  const isLoaded = useSnapshot((snapshot) => snapshot.isLoaded);
  const isKept = useSnapshot((snapshot) => snapshot.isKept);
  const chats = useSnapshot((snapshot) => snapshot.chats);
  const requests = useSnapshot((snapshot) => snapshot.requests);
  const archived = useSnapshot((snapshot) => snapshot.archived);
  const unread = useSnapshot((snapshot) => snapshot.unread);
  const hasMore = useSnapshot((snapshot) => snapshot.hasMoreChats);
  return useMemo(() => {
    const more = hasMore ? () => store.moreChats() : undefined;
    return { isLoaded, isKept, chats, requests, archived, unread, more };
  }, [store, isLoaded, isKept, chats, requests, archived, unread, hasMore]);
}

interface Held {
  readonly room: Room;
  holders: number;
}

/** The rooms that components hold open. */
const heldRooms = new WeakMap<Store, Map<string, Held>>();

function heldOf(store: Store): Map<string, Held> {
  const held = heldRooms.get(store) ?? new Map<string, Held>();
  heldRooms.set(store, held);
  return held;
}

/** Opens a room for one component more. The last one that releases it closes it. */
function holdRoom(store: Store, roomId: string): { readonly room: Room; release(): void } {
  const all = heldOf(store);
  const held = all.get(roomId) ?? { room: store.openRoom(roomId), holders: 0 };
  all.set(roomId, held);
  held.holders++;
  return {
    room: held.room,
    release: () => {
      held.holders--;
      // Later in this turn another component may hold it, as in React's strict mode: its history is then fetched once.
      void Promise.resolve().then(() => {
        if (held.holders > 0 || all.get(roomId) !== held) return;
        all.delete(roomId);
        held.room.close();
      });
    },
  };
}

/** A room that is shown. Both are undefined until React has shown the component once. */
export type ShownRoom =
  | { readonly view: undefined; readonly room: undefined }
  /** `room` has what can be done: `earlier`, `read`, `typing`, `edit`, `react` and so on. The hook closes it. */
  | { readonly view: RoomView; readonly room: Room };

/** A room as it changes. It is open while a component shows it. */
export function useRoom(roomId: string): ShownRoom {
  const store = useStore();
  const subscribe = useCallback(
    (listener: () => void) => {
      const { room, release } = holdRoom(store, roomId);
      const stop = room.subscribe(listener);
      return () => {
        stop();
        release();
      };
    },
    [store, roomId],
  );
  const view = useSyncExternalStore(
    subscribe,
    () => heldOf(store).get(roomId)?.room.get(),
    () => undefined,
  );
  return useMemo(() => {
    const room = heldOf(store).get(roomId)?.room;
    return view && room ? { view, room } : { view: undefined, room: undefined };
  }, [store, roomId, view]);
}

const UNKNOWN: Presence = { state: 'unknown' };

/** Whether a user is online, as far as this device knows: it is told of those with whom this user has a private chat. */
export const usePresence = (userId: string): Presence =>
  useSnapshot(({ chats, requests, archived }) => {
    for (const list of [chats, requests, archived])
      for (const { other, presence } of list) if (other?.userId === userId) return presence;
    return UNKNOWN;
  });

/**
 * A function that sends a message to this room. The message is shown at once, and sent over any number of reconnects. The
 * function stays the same while the room does.
 */
export function useSend(roomId: string): (text: string, options?: MessageOptions) => Entry {
  const store = useStore();
  return useCallback(
    (text, options) => {
      const { room, release } = holdRoom(store, roomId);
      try {
        return room.send(text, options);
      } finally {
        release();
      }
    },
    [store, roomId],
  );
}
