import { v7 } from 'uuid';
import { asClientError, type ClientError } from '../clientErrors.js';
import { Outbox, type OutboxEntry, type OutboxStore } from '../outbox.js';
import type { Client, Message } from '../types.js';
import { mark, messages } from './folds.js';
import type { Observable } from './observable.js';
import { removing, roomOf, type State, setting, type Unsent, withRoom } from './storeState.js';
import type { Entry } from './storeTypes.js';

/**
 * A message that waits to be sent, last of all. Whatever brings it back from the server takes it out
 * again; one that is back already, as after a restart, waits no more.
 */
export function queued(state: State, { roomId, entry }: Unsent): State {
  const { messageId } = entry;
  if (roomOf(state, roomId).known.some((message) => message.messageId === messageId)) return state;
  const unsent = new Map(removing(state.unsent, messageId)).set(messageId, { roomId, entry });
  return { ...state, unsent };
}

/** A message that will not be sent. */
export function refused(state: State, messageId: string, error: ClientError): State {
  const waiting = state.unsent.get(messageId);
  if (waiting === undefined) return state;
  const entry = { ...waiting.entry, state: 'refused' as const, error };
  return { ...state, unsent: setting(state.unsent, messageId, { ...waiting, entry }) };
}

/** A refused message that its writer gives up. */
function discarded(state: State, messageId: string): State {
  if (state.unsent.get(messageId)?.entry.state !== 'refused') return state;
  return { ...state, unsent: removing(state.unsent, messageId) };
}

interface Parts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly outbox: OutboxStore | undefined;
  readonly now: () => number;
  readonly newId: (() => string) | undefined;
  readonly onError: (error: unknown) => void;
  /** A message of this user's is in the server's hands. */
  readonly onStored: (message: Message) => void;
}

/** Shows messages before they are sent, and sends them by the outbox. */
export class Sending {
  readonly #parts: Parts;
  readonly #outbox: Outbox;
  readonly #newId: () => string;
  /** What an earlier run left goes first. */
  #resumed: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#newId = parts.newId ?? (() => v7());
    this.#outbox = new Outbox(parts.client, {
      ...(parts.outbox === undefined ? {} : { store: parts.outbox }),
      onStored: ({ message }) => {
        parts.store.apply((state) => messages(state, message.roomId, [message]));
        parts.onStored(message);
      },
      onRefused: ({ messageId }, error) => parts.store.apply((state) => refused(state, messageId, error)),
    });
  }

  /** Takes up what an earlier run left unsent. */
  start(): void {
    this.#resumed = this.#outbox.resume().then(
      () => {
        const left = this.#outbox.waiting.map(asUnsent);
        this.#parts.store.apply((state) => [...left, ...state.unsent.values()].reduce(queued, state));
      },
      // It stays where it is for the next run; what is written now is sent.
      (error: unknown) => this.#parts.onError(error),
    );
  }

  send(roomId: string, message: string, replyTo?: string): Entry {
    const queuedAt = new Date(this.#parts.now()).toISOString();
    const reply = replyTo === undefined ? {} : { replyTo };
    return this.#add({ messageId: this.#newId(), roomId, message, ...reply, queuedAt });
  }

  retry(messageId: string): void {
    const unsent = this.#parts.store.state.unsent.get(messageId);
    if (unsent?.entry.state !== 'refused') return;
    const { state: _, error: __, ...entry } = unsent.entry;
    this.#add({ ...entry, roomId: unsent.roomId });
  }

  discard(messageId: string): void {
    this.#parts.store.apply((state) => discarded(state, messageId));
  }

  #add(entry: OutboxEntry): Entry {
    const shown = this.#show(entry);
    void this.#resumed
      .then(() => this.#outbox.add(entry))
      .catch((error: unknown) => {
        const why = asClientError(error, 'not_kept');
        // Ended before it was sent: it stays in the outbox for the next run.
        if (why.code === 'closed' || why.code === 'signed_out') return;
        this.#parts.store.apply((state) => refused(state, entry.messageId, why));
      });
    return shown;
  }

  #show(entry: OutboxEntry): Entry {
    const shown = asUnsent(entry);
    this.#parts.store.apply((state) => queued(state, shown));
    return shown.entry;
  }
}

function asUnsent({ roomId, ...entry }: OutboxEntry): Unsent {
  return { roomId, entry: { state: 'sending', ...entry } };
}

/**
 * Tells the server how far this user has read: shown at once, said in the background, one word a room
 * at a time, so that reading fast says the last mark and not each. A reconnect says it again.
 */
export class Marks {
  readonly #busy = new Set<string>();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
  ) {}

  /** A wish beyond the newest message is one for the newest: the server would refuse it. */
  wish(roomId: string, upTo: number): void {
    const { known, wish } = roomOf(this.store.state, roomId);
    const reachable = Math.max(wish, Math.min(upTo, known.at(-1)?.seq ?? 0));
    this.store.apply((state) => withRoom(state, roomId, { wish: reachable }));
    if (!this.#busy.has(roomId)) void this.#say(roomId);
  }

  async #say(roomId: string): Promise<void> {
    this.#busy.add(roomId);
    try {
      for (let wish = this.#unsaid(roomId); wish !== undefined; wish = this.#unsaid(roomId)) {
        const asked = { roomId, upTo: wish };
        // Only one of a room waits for a connection, however long that takes.
        const answer = await this.client.request('read messages', asked, { timeoutMs: Infinity });
        this.store.apply((state) => mark(state, answer.roomId, answer.userId, answer.upTo));
      }
    } catch {
      // Refused, as in a room that is no more, or the client has ended: what the server knows is shown.
      this.store.apply((state) => withRoom(state, roomId, { wish: 0 }));
    } finally {
      this.#busy.delete(roomId);
    }
  }

  #unsaid(roomId: string): number | undefined {
    const { me } = this.store.state;
    const { marks, wish } = roomOf(this.store.state, roomId);
    return wish > (marks.get(me?.userId ?? '') ?? 0) ? wish : undefined;
  }
}
