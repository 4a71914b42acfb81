import { type Client, ClientError, type Message, toClientError } from '../types.js';
import {
  applyChat,
  applyChatPage,
  applyFriend,
  applyMessages,
  applyPresence,
  newestWithoutGap,
  presenceOf,
} from './folds.js';
import type { Typing } from './livePresence.js';
import type { Marks, Sending } from './sending.js';
import { RoomViews } from './snapshot.js';
import {
  type Observable,
  rerunIfCalled,
  reuseIfEqual,
  roomOf,
  type State,
  singleFlight,
  type Watched,
  withRoom,
} from './storeState.js';
import type { Entry, Room, RoomView } from './storeTypes.js';

/** The largest page that the server gives. */
const FRIENDS_PER_PAGE = 200;

interface ListParts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly onError: (error: unknown) => void;
}

/** Fetches data that is not pushed: earlier chats, friends and presence. */
export class Lists {
  readonly #parts: ListParts;

  constructor(parts: ListParts) {
    this.#parts = parts;
  }

  /** Fetches the newest page of chats with presence, and friends once. Never rejects. */
  readonly refresh = rerunIfCalled(async () => {
    const both = await Promise.allSettled([this.#fetchNewestChats(), this.#fetchFriends()]);
    for (const one of both) if (one.status === 'rejected') this.#report(one.reason);
  });

  /** Fetches one more page of older chats. */
  readonly fetchOlder = singleFlight(async () => {
    const { client, store } = this.#parts;
    const next = store.state.nextChats;
    if (next === undefined) return;
    const answer = await client.request('get active chats', { next });
    store.apply((state) => applyChatPage(state, answer, false));
  });

  async #fetchNewestChats(): Promise<void> {
    const { client, store } = this.#parts;
    const answer = await client.request('get active chats', {}, { timeoutMs: Infinity });
    store.apply((state) => applyChatPage(state, answer, true));
  }

  /** Later friends are pushed. */
  async #fetchFriends(): Promise<void> {
    const { client, store } = this.#parts;
    const { me, hasFriends } = store.state;
    if (hasFriends || me === undefined) return;
    for (let page: { next?: string } = {}, isEnd = false; !isEnd; ) {
      const { friends, next } = await client.request(
        'get friends',
        { ...page, limit: FRIENDS_PER_PAGE },
        { timeoutMs: Infinity },
      );
      store.apply((state) => friends.reduce(applyFriend, state));
      if (next === undefined) isEnd = true;
      else page = { next };
    }
    store.apply((state) => ({ ...state, hasFriends: true }));
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

function applyLoading(state: State, roomId: string): State {
  return setPages(state, roomId, 'loading');
}

export function applyPage(state: State, roomId: string, page: readonly Message[]): State {
  return applyMessages(setPages(state, roomId, 'some'), roomId, page);
}

function applyFailure(state: State, roomId: string, error: ClientError): State {
  return setPages(state, roomId, error);
}

/** Sets the state of the pages, if the room is still open. */
function setPages(state: State, roomId: string, pages: 'loading' | 'some' | ClientError): State {
  return roomOf(state, roomId).isOpen ? withRoom(state, roomId, { pages }) : state;
}

interface RoomParts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly sending: Sending;
  readonly marks: Marks;
  readonly typing: Typing;
}

/** A room that is shown. */
export class OpenRoom implements Room {
  readonly #roomId: string;
  readonly #parts: RoomParts;
  readonly #view: Watched<RoomView>;

  constructor(
    roomId: string,
    parts: RoomParts,
    private readonly onClose: () => void,
  ) {
    this.#roomId = roomId;
    this.#parts = parts;
    const views = new RoomViews(roomId);
    this.#view = parts.store.watch((state) => views.of(state));
    parts.store.apply((state) => applyOpening(state, roomId));
    void this.#fetchPage();
    if (parts.store.state.hasChats) void this.fetchChat();
  }

  get = (): RoomView => this.#view.get();
  subscribe = (listener: () => void): (() => void) => this.#view.subscribe(listener);

  earlier(): Promise<void> {
    return this.get().history.state === 'complete' ? Promise.resolve() : this.#fetchPage();
  }

  send(text: string, replyTo?: string): Entry {
    this.#parts.typing.forget(this.#roomId);
    return this.#parts.sending.send(this.#roomId, text, replyTo);
  }

  retry(messageId: string): void {
    this.#parts.sending.retry(messageId);
  }

  discard(messageId: string): void {
    this.#parts.sending.discard(messageId);
  }

  read(upTo: number): void {
    this.#parts.marks.setWish(this.#roomId, upTo);
  }

  typing(isTyping: boolean): void {
    this.#parts.typing.send(this.#roomId, isTyping);
  }

  close(): void {
    this.#parts.typing.send(this.#roomId, false);
    this.#parts.store.apply((state) => applyClosing(state, this.#roomId));
    this.onClose();
  }

  /** To be called when there is a connection again. */
  retryFailedPage(): void {
    if (roomOf(this.#parts.store.state, this.#roomId).pages instanceof ClientError) void this.#fetchPage();
  }

  /** Fetches the missing messages between a pushed message and those before it. */
  fillGap(): void {
    const [before, newest] = roomOf(this.#parts.store.state, this.#roomId).known.slice(-2);
    if (before && newest && before.seq !== newest.seq - 1) void this.#fetchPage();
  }

  /** Fetches the chat of a room that is not in the fetched pages of the list, such as an old one. Never rejects. */
  readonly fetchChat = singleFlight(async () => {
    const { client, store } = this.#parts;
    const roomId = this.#roomId;
    if (roomOf(store.state, roomId).chat !== undefined) return;
    try {
      const { chat, presence = {} } = await client.request('get chat', { roomId });
      store.apply((state) => {
        const present = Object.entries(presence);
        return present.reduce(
          (next, [userId, { isOnline, lastSeen }]) =>
            applyPresence(next, userId, presenceOf(isOnline, lastSeen)),
          applyChat(state, chat),
        );
      });
    } catch {
      // The history has the error: it is refused for the same reason.
    }
  });

  /** Fetches the newest page again, after the store was reset. */
  reload(): void {
    void this.#fetchPage();
  }

  /** Fetches one page back from the newest messages without a gap. Never rejects. */
  readonly #fetchPage = singleFlight(async () => {
    const { client, store } = this.#parts;
    const roomId = this.#roomId;
    const oldest = newestWithoutGap(roomOf(store.state, roomId).known)[0];
    store.apply((state) => applyLoading(state, roomId));
    try {
      const asked = oldest === undefined ? { roomId } : { roomId, before: oldest.seq };
      const { messages } = await client.request('fetch messages', asked);
      store.apply((state) => applyPage(state, roomId, messages));
    } catch (error) {
      store.apply((state) => applyFailure(state, roomId, toClientError(error, 'internal')));
    }
  });
}
