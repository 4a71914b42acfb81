import { ClientError, toClientError } from '../clientErrors.js';
import type { Client, Message } from '../types.js';
import { applyMessages, newestWithoutGap } from './folds.js';
import type { Typing } from './livePresence.js';
import { type Observable, singleFlight, type Watched } from './observable.js';
import type { Marks, Sending } from './sending.js';
import { RoomViews } from './snapshot.js';
import { reuseIfEqual, roomOf, type State, withRoom } from './storeState.js';
import type { Entry, Room, RoomView } from './storeTypes.js';

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

  /** Fetches what is missing between a pushed message and those before it. */
  fillGap(): void {
    const [before, newest] = roomOf(this.#parts.store.state, this.#roomId).known.slice(-2);
    if (before && newest && before.seq !== newest.seq - 1) void this.#fetchPage();
  }

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
