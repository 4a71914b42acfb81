import { FOREVER } from '../options.js';
import { isOver } from '../outbox.js';
import { type Client, ClientError, toClientError, type User } from '../types.js';
import { applyEndOfContact, isMember } from './chatFolds.js';
import type { Typing } from './livePresence.js';
import { applyPages } from './messageFolds.js';
import type { Sending } from './sending.js';
import { shownMessages, viewRoom } from './snapshot.js';
import { MOST_KEPT, type Observable, type RoomState, roomOf, type State, withRoom } from './storeState.js';
import type { Room } from './storeTypes.js';

/** The largest page that the server gives. */
const ROWS_PER_PAGE = 200;

interface ListParts {
  /** Folds what it is answered into the store. */
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly onError: (error: unknown) => void;
}

/** Fetches data that is not pushed: earlier chats, friends, blocked users, preferences and presence. */
export interface Lists {
  /** Fetches the newest page of chats with presence, the friends, and once what later is pushed. Never rejects. */
  refresh(): Promise<void>;
  /** Fetches one more page of older chats. */
  fetchOlder(): Promise<void>;
  /** Fetches one more page of archived chats. */
  fetchArchived(): Promise<void>;
}

export function createLists({ client, store, onError }: ListParts): Lists {
  const fetchMore = (from: 'nextChats' | 'nextArchived', filter: { readonly filter?: 'archived' }) =>
    singleFlight(async () => {
      const next = store.state[from];
      if (next !== undefined) await client.request('get active chats', { ...filter, ...(next && { next }) });
    });
  const fetchUsers = async (
    name: 'get friends' | 'get blocked',
    use: (users: readonly User[]) => void = () => {},
  ): Promise<void> => {
    let next: string | undefined;
    do {
      const data = { limit: ROWS_PER_PAGE, ...(next && { next }) };
      const answer: { friends?: readonly User[]; next?: string } = await client.request(name, data, FOREVER);
      use(answer.friends ?? []);
      next = answer.next;
    } while (next);
  };
  /** Nobody is told that a friend has blocked them: who is no friend any more is missing in the answers. */
  const fetchFriends = async (): Promise<void> => {
    const gone = new Set(store.state.friends);
    await fetchUsers('get friends', (friends) => {
      for (const { userId } of friends) gone.delete(userId);
    });
    store.apply((state) => ({ ...[...gone].reduce(applyEndOfContact, state), hasFriends: true }));
  };
  const fetchOwn = async (): Promise<void> => {
    // Those of an earlier run are fetched once more, with the friends.
    if (store.state.preferences && store.state.hasFriends) return;
    await fetchUsers('get blocked');
    await client.request('get preferences', {}, FOREVER);
  };
  /** After the end of the client its errors are expected, and not reported. */
  const report = (error: unknown): void => {
    if (!(error instanceof ClientError && (isOver(error) || error.code === 'unauthenticated')))
      onError(error);
  };
  return {
    refresh: rerunIfCalled(async () => {
      const chats = client.request('get active chats', {}, FOREVER);
      await Promise.all([chats, fetchFriends(), fetchOwn()].map((one) => one.catch(report)));
    }),
    fetchOlder: fetchMore('nextChats', {}),
    fetchArchived: fetchMore('nextArchived', { filter: 'archived' }),
  };
}

/** Of a group that this user has left, nobody told how messages changed: they are fetched again. */
export function applyOpening(state: State, roomId: string): State {
  const room = roomOf(state, roomId);
  return withRoom(state, roomId, { isOpen: true, known: room.known.slice(isMember(room) ? 0 : -1) });
}

/** Keeps only the newest messages of a room that is closed. */
export function applyClosing(state: State, roomId: string): State {
  const { known } = roomOf(state, roomId);
  return withRoom(state, roomId, {
    isOpen: false,
    pages: 'none',
    focus: undefined,
    known: known.slice(-MOST_KEPT),
  });
}

interface RoomParts {
  /** Folds what it is answered into the store. */
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly sending: Sending;
  readonly setMark: (roomId: string, upTo: number) => void;
  readonly typing: Typing;
}

/** A room that is shown. */
export interface OpenRoom extends Room {
  /** Fetches a page that the store has forgotten or, on a new connection, that could not be fetched before. */
  resume(isNewConnection?: boolean): void;
  /** Fetches the missing messages between a pushed message and those before it. */
  fillGap(): void;
  /** Fetches one page back from the newest messages without a gap. Never rejects. */
  fetchPage(): Promise<void>;
}

export function openRoom(roomId: string, parts: RoomParts, onClose: () => void): OpenRoom {
  const { client, store, sending, setMark, typing } = parts;
  const now = (): RoomState => roomOf(store.state, roomId);
  const fetchPage = singleFlight(async (limit?: number) => {
    store.apply((state) => applyPages(state, roomId, 'loading'));
    // The store may have forgotten the room again before the answer came.
    while (now().pages === 'loading') {
      const oldest = shownMessages(now())[0];
      try {
        await client.request('fetch messages', {
          ...{ roomId, ...(oldest && { before: oldest.seq }), ...(limit && { limit }) },
        });
      } catch (error) {
        store.apply((state) => applyPages(state, roomId, toClientError(error, 'internal')));
      }
    }
  });
  const view = store.watch(viewRoom(roomId));
  let wanted: string | number | undefined;
  const show = async (at?: string | number): Promise<void> => {
    wanted = at;
    if (at) await client.request('fetch messages', { roomId, around: at });
    const found = now().known.find(({ messageId, seq }) => messageId === at || seq >= Number(at));
    // The user may have gone elsewhere meanwhile.
    if (wanted === at) store.apply((state) => withRoom(state, roomId, { focus: found?.seq }));
  };
  store.apply((state) => applyOpening(state, roomId));
  void fetchPage();
  return {
    ...view,
    earlier: async (limit) => {
      if (view.get().history.state !== 'complete') await fetchPage(limit);
    },
    show,
    send(text, options) {
      typing.forget(roomId);
      void show();
      return sending.send(roomId, text, options);
    },
    edit: (messageId, message, mentions) =>
      sending.queue('edit message', { roomId, messageId, message, ...(mentions && { mentions }) }),
    delete: (messageId) => sending.queue('delete message', { roomId, messageId }),
    react: (messageId, emoji, on) => sending.queue('react', { roomId, messageId, emoji, on }),
    edits: async (messageId) => (await client.request('get edits', { roomId, messageId })).edits,
    readers: (seq, next) => client.request('get readers', { roomId, seq, ...(next && { next }) }),
    retry: (messageId) => sending.retry(messageId),
    discard: (messageId) => sending.discard(messageId),
    read: (upTo) => setMark(roomId, upTo),
    typing: (isTyping) => typing.send(roomId, isTyping),
    close() {
      typing.send(roomId, false);
      store.apply((state) => applyClosing(state, roomId));
      onClose();
    },
    resume(isNewConnection = false) {
      const { pages } = now();
      if (pages === 'loading' || (isNewConnection && typeof pages === 'object')) void fetchPage();
    },
    fillGap() {
      if (now().known.length > 1 && shownMessages(now()).length === 1) void fetchPage();
    },
    fetchPage,
  };
}

/**
 * Runs one at a time. Calls during a run share one more run after it, so that each call is followed by
 * a whole run.
 */
function rerunIfCalled(run: () => Promise<void>): () => Promise<void> {
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
function singleFlight<A extends unknown[]>(
  run: (...args: A) => Promise<void>,
): (...args: A) => Promise<void> {
  let current: Promise<void> | undefined;
  return (...args) => {
    current ??= run(...args).finally(() => {
      current = undefined;
    });
    return current;
  };
}
