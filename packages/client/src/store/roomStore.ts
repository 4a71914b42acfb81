import { type Client, ClientError, toClientError } from '../types.js';
import { previousSeq, windowsOf } from './chatFolds.js';
import type { Typing } from './livePresence.js';
import { applyPages } from './messageFolds.js';
import type { Marks, Sending } from './sending.js';
import { newestWithoutGap, viewRoom } from './snapshot.js';
import {
  type Observable,
  type RoomState,
  rerunIfCalled,
  reuseIfEqual,
  roomOf,
  type State,
  singleFlight,
  withRoom,
} from './storeState.js';
import type { Room } from './storeTypes.js';

/** The largest page that the server gives. */
const ROWS_PER_PAGE = 200;

const FOREVER = { timeoutMs: Infinity };

interface ListParts {
  /** Folds what it is answered into the store. */
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly onError: (error: unknown) => void;
}

/** Fetches data that is not pushed: earlier chats, friends, blocked users, preferences and presence. */
export class Lists {
  readonly #parts: ListParts;

  constructor(parts: ListParts) {
    this.#parts = parts;
  }

  /** Fetches the newest page of chats with presence, and once what later is pushed. Never rejects. */
  readonly refresh = rerunIfCalled(async () => {
    const chats = this.#parts.client.request('get active chats', {}, FOREVER);
    for (const one of await Promise.allSettled([chats, this.#fetchFriends(), this.#fetchOwn()]))
      if (one.status === 'rejected') this.#report(one.reason);
  });

  /** Fetches one more page of older chats. */
  readonly fetchOlder = singleFlight(async () => {
    const { client, store } = this.#parts;
    const next = store.state.nextChats;
    if (next !== undefined) await client.request('get active chats', { next });
  });

  /** Fetches one more page of archived chats. */
  readonly fetchArchived = singleFlight(async () => {
    const { client, store } = this.#parts;
    const next = store.state.nextArchived;
    if (next === undefined) return;
    const data = { filter: 'archived' as const, ...(next === '' ? {} : { next }) };
    await client.request('get active chats', data);
  });

  async #fetchFriends(): Promise<void> {
    const { store } = this.#parts;
    if (store.state.hasFriends) return;
    await this.#fetchUsers('get friends');
    store.apply((state) => ({ ...state, hasFriends: true }));
  }

  /** Preferences are fetched last: where they are here, the blocked users are. */
  async #fetchOwn(): Promise<void> {
    const { client, store } = this.#parts;
    if (store.state.preferences) return;
    await this.#fetchUsers('get blocked');
    await client.request('get preferences', {}, FOREVER);
  }

  async #fetchUsers(name: 'get friends' | 'get blocked'): Promise<void> {
    let next: string | undefined;
    do {
      const data = { limit: ROWS_PER_PAGE, ...(next === undefined ? {} : { next }) };
      const answer: { next?: string } = await this.#parts.client.request(name, data, FOREVER);
      next = answer.next;
    } while (next !== undefined);
  }

  /** After the end of the client its errors are expected, and not reported. */
  #report(error: unknown): void {
    const isOver =
      error instanceof ClientError && ['closed', 'signed_out', 'unauthenticated'].includes(error.code);
    if (!isOver) this.#parts.onError(error);
  }
}

export function applyOpening(state: State, roomId: string): State {
  return withRoom(state, roomId, { isOpen: true });
}

/** Keeps only the newest message of a room that is closed. */
function applyClosing(state: State, roomId: string): State {
  const { known } = roomOf(state, roomId);
  return withRoom(state, roomId, {
    isOpen: false,
    pages: 'none',
    known: reuseIfEqual(known, known.slice(-1)),
  });
}

interface RoomParts {
  /** Folds what it is answered into the store. */
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly sending: Sending;
  readonly marks: Marks;
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
  const { client, store, sending, marks, typing } = parts;
  const now = (): RoomState => roomOf(store.state, roomId);
  const fetchPage = singleFlight(async () => {
    store.apply((state) => applyPages(state, roomId, 'loading'));
    // The store may have forgotten the room again before the answer came.
    while (now().pages === 'loading') {
      const oldest = newestWithoutGap(now())[0];
      try {
        await client.request('fetch messages', { roomId, ...(oldest && { before: oldest.seq }) });
      } catch (error) {
        store.apply((state) => applyPages(state, roomId, toClientError(error, 'internal')));
      }
    }
  });
  const view = store.watch(viewRoom(roomId));
  store.apply((state) => applyOpening(state, roomId));
  void fetchPage();
  return {
    ...view,
    earlier: async () => {
      if (view.get().history.state !== 'complete') await fetchPage();
    },
    send(text, options) {
      typing.forget(roomId);
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
    read: (upTo) => marks.setWish(roomId, upTo),
    typing: (isTyping) => typing.send(roomId, isTyping),
    close() {
      typing.send(roomId, false);
      store.apply((state) => applyClosing(state, roomId));
      onClose();
    },
    resume(isNewConnection = false) {
      const { pages } = now();
      if (pages === 'loading' || (isNewConnection && pages instanceof ClientError)) void fetchPage();
    },
    fillGap() {
      const [before, newest] = now().known.slice(-2);
      if (before && newest && before.seq !== previousSeq(windowsOf(now()), newest.seq)) void fetchPage();
    },
    fetchPage,
  };
}
