import { asClientError, ClientError } from '../clientErrors.js';
import type { Client, Message } from '../types.js';
import { messages, unbroken } from './folds.js';
import type { Typing } from './livePresence.js';
import { type Observable, oneForAll, type Watched } from './observable.js';
import type { Marks, Sending } from './sending.js';
import { RoomViews } from './snapshot.js';
import { kept, roomOf, type State, withRoom } from './storeState.js';
import type { Entry, Room, RoomView } from './storeTypes.js';

/** Somebody begins to look at a room. */
export function opened(state: State, roomId: string): State {
  return withRoom(state, roomId, { isOpen: true });
}

/** Nobody looks at it any more: only its newest message is kept. */
function closed(state: State, roomId: string): State {
  const { known } = roomOf(state, roomId);
  return withRoom(state, roomId, { isOpen: false, pages: 'none', known: kept(known, known.slice(-1)) });
}

/** A page of it is on its way. */
function loading(state: State, roomId: string): State {
  return of(state, roomId, 'loading');
}

/** A page of it has come. */
export function paged(state: State, roomId: string, page: readonly Message[]): State {
  return messages(of(state, roomId, 'some'), roomId, page);
}

/** A page of it could not be had. */
function failed(state: State, roomId: string, error: ClientError): State {
  return of(state, roomId, error);
}

/** What becomes of a page concerns only who still looks. */
function of(state: State, roomId: string, pages: 'loading' | 'some' | ClientError): State {
  return roomOf(state, roomId).isOpen ? withRoom(state, roomId, { pages }) : state;
}

interface Parts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly sending: Sending;
  readonly marks: Marks;
  readonly typing: Typing;
  readonly onClose: () => void;
}

/** A room that somebody looks at. */
export class OpenRoom implements Room {
  readonly #roomId: string;
  readonly #parts: Parts;
  readonly #view: Watched<RoomView>;

  constructor(roomId: string, parts: Parts) {
    this.#roomId = roomId;
    this.#parts = parts;
    const views = new RoomViews(roomId);
    this.#view = parts.store.watch((state) => views.of(state));
    parts.store.apply((state) => opened(state, roomId));
    void this.#page();
  }

  get = (): RoomView => this.#view.get();
  subscribe = (listener: () => void): (() => void) => this.#view.subscribe(listener);

  earlier(): Promise<void> {
    return this.get().history.state === 'whole' ? Promise.resolve() : this.#page();
  }

  send(text: string, replyTo?: string): Entry {
    this.#parts.typing.sent(this.#roomId);
    return this.#parts.sending.send(this.#roomId, text, replyTo);
  }

  retry(messageId: string): void {
    this.#parts.sending.retry(messageId);
  }

  discard(messageId: string): void {
    this.#parts.sending.discard(messageId);
  }

  read(upTo: number): void {
    this.#parts.marks.wish(this.#roomId, upTo);
  }

  typing(isTyping: boolean): void {
    this.#parts.typing.say(this.#roomId, isTyping);
  }

  close(): void {
    this.#parts.typing.say(this.#roomId, false);
    this.#parts.store.apply((state) => closed(state, this.#roomId));
    this.#parts.onClose();
  }

  /** There is a connection again: what could not be had before is tried once more. */
  connected(): void {
    if (roomOf(this.#parts.store.state, this.#roomId).pages instanceof ClientError) void this.#page();
  }

  /** A message was pushed: what lies between it and those before, if anything does, is fetched. */
  pushed(): void {
    const [before, newest] = roomOf(this.#parts.store.state, this.#roomId).known.slice(-2);
    if (before && newest && before.seq !== newest.seq - 1) void this.#page();
  }

  /** What was known is no more: the newest page again. */
  begun(): void {
    void this.#page();
  }

  /** One page back from what is known without a gap; all newer ones are pushed. Never rejects. */
  readonly #page = oneForAll(async () => {
    const { client, store } = this.#parts;
    const roomId = this.#roomId;
    const oldest = unbroken(roomOf(store.state, roomId).known)[0];
    store.apply((state) => loading(state, roomId));
    try {
      const asked = oldest === undefined ? { roomId } : { roomId, before: oldest.seq };
      const { messages } = await client.request('fetch messages', asked);
      store.apply((state) => paged(state, roomId, messages));
    } catch (error) {
      store.apply((state) => failed(state, roomId, asClientError(error, 'internal')));
    }
  });
}
