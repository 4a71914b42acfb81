import { v7 } from 'uuid';
import { ClientError } from './clientErrors.js';
import type { Client, Message, RequestAnswer } from './types.js';

/** A message on its way; its id is chosen when it is queued, and stays. */
export interface OutboxEntry {
  readonly messageId: string;
  readonly roomId: string;
  readonly message: string;
  readonly replyTo?: string;
  /** An ISO 8601 time of this device; the server is not told. */
  readonly queuedAt: string;
}

/** Keeps entries over restarts of the device. */
export interface OutboxStore {
  /** In the order they were put. */
  load(): Promise<readonly OutboxEntry[]> | readonly OutboxEntry[];
  put(entry: OutboxEntry): Promise<void> | void;
  remove(messageId: string): Promise<void> | void;
}

/** How an outbox keeps and names what it sends, and whom it tells. */
export interface OutboxOptions {
  /** Default: none; what is unsent goes with the page or process. */
  readonly store?: OutboxStore;
  /** Messages that may wait, of all rooms; default 1,000. */
  readonly limit?: number;
  /** Default: UUIDv7, which keeps the server's index of ids small to write. */
  readonly newId?: () => string;
  /** Milliseconds since 1970; default: `Date.now`. */
  readonly now?: () => number;
  /** Is told what the server answered, of messages that an earlier outbox left too. */
  readonly onStored?: (answer: RequestAnswer<'send message'>) => void;
  /** Is told what the server refused for good, with the reason; the entry is gone from the outbox. */
  readonly onRefused?: (entry: OutboxEntry, error: ClientError) => void;
}

/** Rooms that are sent to at once: what has gathered while offline must not run into the rate limit. */
const ROOMS_AT_ONCE = 8;

const nowhere: OutboxStore = { load: () => [], put: () => {}, remove: () => {} };

interface Job {
  readonly entry: OutboxEntry;
  readonly stored: Promise<void>;
  resolve(message: Message): void;
  reject(error: unknown): void;
}

/**
 * Sends messages, each exactly once and those of a room in order, over any number of reconnects: one
 * of a room is under way at a time, and it is sent again with the same id until it is answered.
 */
export class Outbox {
  readonly #jobs = new Map<string, Job>();
  /** Rooms with a message under way. */
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
    this.#store = options.store ?? nowhere;
    this.#limit = options.limit ?? 1000;
    this.#newId = options.newId ?? (() => v7());
    this.#now = options.now ?? Date.now;
    this.#onStored = options.onStored ?? (() => {});
    this.#onRefused = options.onRefused ?? (() => {});
  }

  /** What has not been answered yet, in the order it was queued. */
  get waiting(): readonly OutboxEntry[] {
    return [...this.#jobs.values()].map((job) => job.entry);
  }

  /**
   * Queues a message; resolves with it as the server has it. Rejects with what the server refused it
   * for, with `too_many` when the outbox is full, with what the store threw when it could not keep it,
   * or with `closed` or `signed_out`: then it stays in the store for the next outbox to `resume`.
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

  /** `send` for a message that has its id already: a new one, or one that was refused before. */
  add(entry: OutboxEntry): Promise<Message> {
    if (this.#jobs.size >= this.#limit) return Promise.reject(new ClientError({ code: 'too_many' }));
    // Stored before it is sent: a restart in between sends it again, under the same id.
    return this.#queue(entry, this.#put(entry));
  }

  /** Queues what an earlier outbox left in the store; call it before the first `send`. */
  async resume(): Promise<void> {
    for (const entry of await this.#store.load()) {
      // Whoever sent it is gone; `onRefused` tells of refusals.
      this.#queue(entry, Promise.resolve()).catch(() => {});
    }
  }

  #queue(entry: OutboxEntry, stored: Promise<void>): Promise<Message> {
    // It may fail long before its turn comes, when nobody listens yet.
    stored.catch(() => {});
    return new Promise((resolve, reject) => {
      this.#jobs.set(entry.messageId, { entry, stored, resolve, reject });
      this.#pump();
    });
  }

  #pump(): void {
    for (const job of this.#jobs.values()) {
      if (this.#busy.size >= ROOMS_AT_ONCE) return;
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

  /** What to tell the sender. */
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
      // Left there it is sent once more, and answered with the first answer: no harm.
    }
  }
}
