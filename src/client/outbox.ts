import { v7 } from 'uuid';
import { type Client, ClientError, type Message, type RequestAnswer } from './types.js';

/** A queued message. It keeps its id through all tries. */
export interface OutboxEntry {
  readonly messageId: string;
  readonly roomId: string;
  readonly message: string;
  readonly replyTo?: string;
  /** An ISO 8601 time of this device; it is not sent. */
  readonly queuedAt: string;
}

/** Keeps entries over restarts of the device. */
export interface OutboxStore {
  /** In the order they were put. */
  load(): Promise<readonly OutboxEntry[]> | readonly OutboxEntry[];
  put(entry: OutboxEntry): Promise<void> | void;
  remove(messageId: string): Promise<void> | void;
}

export interface OutboxOptions {
  /** Default: none, so that unsent messages are lost with the page or process. */
  readonly store?: OutboxStore;
  /** Messages that may wait, in all rooms together; default 1,000. */
  readonly limit?: number;
  /** Default: UUIDv7, which costs the server's index the least. */
  readonly newId?: () => string;
  /** Milliseconds since 1970; default: `Date.now`. */
  readonly now?: () => number;
  /** Called with each answer of the server, also for messages of an earlier outbox. */
  readonly onStored?: (answer: RequestAnswer<'send message'>) => void;
  /** Called with each message that the server refused, and why. It is no longer in the outbox. */
  readonly onRefused?: (entry: OutboxEntry, error: ClientError) => void;
}

/** Rooms that are sent to at once: messages that gathered offline must not exceed the rate limit. */
const MAX_BUSY_ROOMS = 8;

const NO_STORE: OutboxStore = { load: () => [], put: () => {}, remove: () => {} };

interface Job {
  readonly entry: OutboxEntry;
  readonly stored: Promise<void>;
  resolve(message: Message): void;
  reject(error: unknown): void;
}

/**
 * Sends messages, each exactly once and those of a room in order, over any number of reconnects. It
 * sends one message of a room at a time, and repeats it with the same id until it is answered.
 */
export class Outbox {
  readonly #jobs = new Map<string, Job>();
  /** Rooms with a message that is being sent. */
  readonly #busy = new Set<string>();
  readonly #store: OutboxStore;
  readonly #limit: number;
  readonly #newId: () => string;
  readonly #now: () => number;
  readonly #onStored: (answer: RequestAnswer<'send message'>) => void;
  readonly #onRefused: (entry: OutboxEntry, error: ClientError) => void;

  constructor(
    private readonly client: Pick<Client, 'request'>,
    options: OutboxOptions = {},
  ) {
    this.#store = options.store ?? NO_STORE;
    this.#limit = options.limit ?? 1000;
    this.#newId = options.newId ?? (() => v7());
    this.#now = options.now ?? Date.now;
    this.#onStored = options.onStored ?? (() => {});
    this.#onRefused = options.onRefused ?? (() => {});
  }

  /** Unanswered messages, in the order they were queued. */
  get waiting(): readonly OutboxEntry[] {
    return [...this.#jobs.values()].map((job) => job.entry);
  }

  /**
   * Queues a message; resolves with the message as the server stored it. Rejects with the server's
   * refusal, with `too_many` when the outbox is full, or with the error of the store. After `closed`
   * and `signed_out` the message stays in the store, for the next outbox to `resume`.
   */
  send(roomId: string, message: string, replyTo?: string): Promise<Message> {
    return this.add({
      messageId: this.#newId(),
      roomId,
      message,
      ...(replyTo === undefined ? {} : { replyTo }),
      queuedAt: new Date(this.#now()).toISOString(),
    });
  }

  /** As `send`, for a message that already has its id, such as one that was refused before. */
  add(entry: OutboxEntry): Promise<Message> {
    if (this.#jobs.size >= this.#limit) return Promise.reject(new ClientError({ code: 'too_many' }));
    // Stored before it is sent, so that a restart in between sends it again, under the same id.
    return this.#queue(entry, this.#put(entry));
  }

  /** Queues the messages that an earlier outbox left in the store; call it before the first `send`. */
  async resume(): Promise<void> {
    for (const entry of await this.#store.load()) {
      // Its sender no longer waits; `onRefused` is called all the same.
      this.#queue(entry, Promise.resolve()).catch(() => {});
    }
  }

  #queue(entry: OutboxEntry, stored: Promise<void>): Promise<Message> {
    // It may fail before its turn comes, when it is not awaited yet.
    stored.catch(() => {});
    return new Promise((resolve, reject) => {
      this.#jobs.set(entry.messageId, { entry, stored, resolve, reject });
      this.#pump();
    });
  }

  #pump(): void {
    for (const job of this.#jobs.values()) {
      if (this.#busy.size >= MAX_BUSY_ROOMS) return;
      if (!this.#busy.has(job.entry.roomId)) void this.#run(job);
    }
  }

  async #run(job: Job): Promise<void> {
    this.#busy.add(job.entry.roomId);
    const outcome = await this.#deliver(job);
    this.#busy.delete(job.entry.roomId);
    this.#jobs.delete(job.entry.messageId);
    outcome();
    this.#pump();
  }

  /** Sends the message; the function that it gives settles the sender's promise. */
  async #deliver({ entry, stored, resolve, reject }: Job): Promise<() => void> {
    try {
      await stored;
      const forever = { timeoutMs: Number.POSITIVE_INFINITY };
      const { queuedAt: _, ...data } = entry;
      const answer = await this.client.request('send message', data, forever);
      await this.#forget(entry);
      this.#onStored(answer);
      return () => resolve(answer.message);
    } catch (error) {
      if (error instanceof ClientError && error.code !== 'closed' && error.code !== 'signed_out') {
        await this.#forget(entry);
        this.#onRefused(entry, error);
      }
      return () => reject(error);
    }
  }

  async #put(entry: OutboxEntry): Promise<void> {
    await this.#store.put(entry);
  }

  async #forget(entry: OutboxEntry): Promise<void> {
    try {
      await this.#store.remove(entry.messageId);
    } catch {
      // The next outbox sends it again and gets the same answer. This is harmless.
    }
  }
}
