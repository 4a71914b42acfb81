import { v7 } from 'uuid';
import { Outbox, type OutboxEntry, type OutboxOptions } from '../outbox.js';
import { type Client, type ClientError, type Message, toClientError } from '../types.js';
import { applyMark, applyMessages } from './folds.js';
import {
  type Observable,
  roomOf,
  type State,
  type Unsent,
  withEntry,
  withoutKey,
  withRoom,
} from './storeState.js';
import type { Entry } from './storeTypes.js';

/**
 * Adds an unsent message at the end. It is removed when the server's copy arrives; if that is here
 * already, as after a restart, nothing is added.
 */
export function addUnsent(state: State, { roomId, entry }: Unsent): State {
  const { messageId } = entry;
  if (roomOf(state, roomId).known.some((message) => message.messageId === messageId)) return state;
  const unsent = new Map(withoutKey(state.unsent, messageId)).set(messageId, { roomId, entry });
  return { ...state, unsent };
}

export function markRefused(state: State, messageId: string, error: ClientError): State {
  const waiting = state.unsent.get(messageId);
  if (waiting === undefined) return state;
  const entry = { ...waiting.entry, state: 'refused' as const, error };
  return { ...state, unsent: withEntry(state.unsent, messageId, { ...waiting, entry }) };
}

function removeRefused(state: State, messageId: string): State {
  if (state.unsent.get(messageId)?.entry.state !== 'refused') return state;
  return { ...state, unsent: withoutKey(state.unsent, messageId) };
}

interface SendingParts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  /** As in `OutboxOptions`. */
  readonly outbox: Pick<OutboxOptions, 'store'> & {
    readonly now: () => number;
    readonly newId?: () => string;
  };
  readonly onError: (error: unknown) => void;
  /** Called with each message of this user that the server has stored. */
  readonly onStored: (message: Message) => void;
}

/** Shows messages before they are sent, and sends them with the outbox. */
export class Sending {
  readonly #parts: SendingParts;
  readonly #outbox: Outbox;
  readonly #newId: () => string;
  /** Messages of an earlier run are sent first. */
  #resumed: Promise<void> = Promise.resolve();

  constructor(parts: SendingParts) {
    this.#parts = parts;
    const { store, newId = () => v7() } = parts.outbox;
    this.#newId = newId;
    this.#outbox = new Outbox(parts.client, {
      ...(store === undefined ? {} : { store }),
      onStored: ({ message }) => {
        parts.store.apply((state) => applyMessages(state, message.roomId, [message]));
        parts.onStored(message);
      },
      onRefused: ({ messageId }, error) => parts.store.apply((state) => markRefused(state, messageId, error)),
    });
  }

  /** Sends the unsent messages of an earlier run. */
  start(): void {
    this.#resumed = this.#outbox.resume().then(
      () => {
        const left = this.#outbox.waiting.map(toUnsent);
        this.#parts.store.apply((state) => [...left, ...state.unsent.values()].reduce(addUnsent, state));
      },
      // Those messages stay in the outbox for the next run; new ones are sent.
      (error: unknown) => this.#parts.onError(error),
    );
  }

  send(roomId: string, message: string, replyTo?: string): Entry {
    const queuedAt = new Date(this.#parts.outbox.now()).toISOString();
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
    this.#parts.store.apply((state) => removeRefused(state, messageId));
  }

  #add(entry: OutboxEntry): Entry {
    const shown = this.#show(entry);
    void this.#resumed
      .then(() => this.#outbox.add(entry))
      .catch((error: unknown) => {
        const why = toClientError(error, 'not_kept');
        // The client ended before the message was sent: it stays in the outbox for the next run.
        if (why.code === 'closed' || why.code === 'signed_out') return;
        this.#parts.store.apply((state) => markRefused(state, entry.messageId, why));
      });
    return shown;
  }

  #show(entry: OutboxEntry): Entry {
    const shown = toUnsent(entry);
    this.#parts.store.apply((state) => addUnsent(state, shown));
    return shown.entry;
  }
}

function toUnsent({ roomId, ...entry }: OutboxEntry): Unsent {
  return { roomId, entry: { state: 'sending', ...entry } };
}

/**
 * Tells the server how far this user has read. A mark is shown at once and sent in the background, one
 * request a room at a time, so that fast reading sends the last mark and not each.
 */
export class Marks {
  readonly #busy = new Set<string>();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
  ) {}

  /** Limited to the newest message, as the server refuses marks beyond it. */
  setWish(roomId: string, upTo: number): void {
    const { known, wishedMark } = roomOf(this.store.state, roomId);
    const reachable = Math.max(wishedMark, Math.min(upTo, known.at(-1)?.seq ?? 0));
    this.store.apply((state) => withRoom(state, roomId, { wishedMark: reachable }));
    if (!this.#busy.has(roomId)) void this.#send(roomId);
  }

  async #send(roomId: string): Promise<void> {
    this.#busy.add(roomId);
    try {
      for (let wish = this.#unsent(roomId); wish !== undefined; wish = this.#unsent(roomId)) {
        const asked = { roomId, upTo: wish };
        // Without a time limit: only one request a room waits for a connection.
        const answer = await this.client.request('read messages', asked, {
          timeoutMs: Number.POSITIVE_INFINITY,
        });
        this.store.apply((state) => applyMark(state, answer.roomId, answer.userId, answer.upTo));
      }
    } catch {
      // The server refused it, or the client has ended: the server's mark is shown.
      this.store.apply((state) => withRoom(state, roomId, { wishedMark: 0 }));
    } finally {
      this.#busy.delete(roomId);
    }
  }

  #unsent(roomId: string): number | undefined {
    const { me } = this.store.state;
    const { marks, wishedMark } = roomOf(this.store.state, roomId);
    return wishedMark > (marks.get(me?.userId ?? '') ?? 0) ? wishedMark : undefined;
  }
}
