import { v7 } from 'uuid';
import { asClientError } from '../errors.js';
import { Outbox, type OutboxEntry, type OutboxStore } from '../outbox.js';
import type { Client, Message } from '../types.js';
import { messages } from './folds.js';
import type { Observable } from './observable.js';
import type { State, Unsent } from './state.js';
import type { Entry } from './types.js';
import { discarded, queued, refused } from './unsent.js';

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
