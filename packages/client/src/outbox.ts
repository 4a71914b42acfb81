import { deferred, FOREVER } from './options.js';
import { type Client, ClientError, type Message, type RequestAnswer, type RequestInput } from './types.js';

/** The requests that an outbox may send. */
export type QueuedRequest = 'send message' | 'edit message' | 'delete message' | 'react';

/** A queued request. It keeps its data, and so the ids in it, through all tries. */
export type OutboxEntry = {
  [N in QueuedRequest]: {
    /** That of the message or of the edit; of a deletion or a reaction an id of its own. */
    readonly id: string;
    readonly request: N;
    readonly data: RequestInput<N>;
    /** An ISO 8601 time of this device; it is not sent. */
    readonly queuedAt: string;
  };
}[QueuedRequest];

/** Keeps entries over restarts of the device. */
export interface OutboxStore {
  /** In the order they were put. */
  load(): Promise<readonly OutboxEntry[]> | readonly OutboxEntry[];
  /** Replaces an entry of the same id in its place. */
  put(entry: OutboxEntry): Promise<void> | void;
  remove(id: string): Promise<void> | void;
}

export interface OutboxOptions {
  /** Default: none, so that unsent entries are lost with the page or process. */
  readonly store?: OutboxStore | undefined;
  /** Entries that may wait, in all rooms together; default 1,000. */
  readonly limit?: number | undefined;
  /** Default: UUIDv7, which costs the server's index the least. */
  readonly newId?: (() => string) | undefined;
  /** Milliseconds since 1970; default: `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Called with each answer of the server, also for entries of an earlier outbox. */
  readonly onAnswered?: (entry: OutboxEntry, answer: RequestAnswer<QueuedRequest>) => void;
  /** Called with each entry that the server refused, and why. It is no longer in the outbox. */
  readonly onRefused?: (entry: OutboxEntry, error: ClientError) => void;
}

export type EntryOf<N extends QueuedRequest> = Extract<OutboxEntry, { readonly request: N }>;

/** The data of a request, without the id that the outbox chooses. */
export type WithoutId<N extends QueuedRequest> = Omit<
  RequestInput<N>,
  N extends 'send message' ? 'messageId' : 'editId'
>;

/** What a message may have beside its text. */
export type MessageOptions = Omit<RequestInput<'send message'>, 'roomId' | 'messageId' | 'message'>;

/** Rooms that are sent to at once: what gathered offline must not exceed the rate limit. */
const MAX_BUSY_ROOMS = 8;

const NO_STORE: OutboxStore = { load: () => [], put: () => {}, remove: () => {} };

interface Job {
  entry: OutboxEntry;
  stored: Promise<void>;
  isSent: boolean;
  readonly answered: ReturnType<typeof deferred<unknown>>;
}

/**
 * Sends messages, edits, deletions and reactions, each exactly once and those of a room in order, over any number of
 * reconnects. It sends one entry of a room at a time, and repeats it with the same ids until it is answered.
 */
export class Outbox {
  readonly #client: Pick<Client, 'request'>;
  readonly #jobs = new Map<string, Job>();
  /** Rooms with an entry that is being sent. */
  readonly #busy = new Set<string>();
  readonly #options: { readonly [K in keyof OutboxOptions]-?: NonNullable<OutboxOptions[K]> };
  /** Whether it is not known yet what an earlier outbox left, which is sent first. */
  #isResuming = false;

  constructor(client: Pick<Client, 'request'>, options: OutboxOptions = {}) {
    this.#client = client;
    const { store = NO_STORE, limit = 1000, newId = newUuid, now = Date.now } = options;
    const { onAnswered = () => {}, onRefused = () => {} } = options;
    this.#options = { store, limit, newId, now, onAnswered, onRefused };
  }

  /** Unanswered entries, in the order they were queued. */
  get waiting(): readonly OutboxEntry[] {
    return [...this.#jobs.values()].map((job) => job.entry);
  }

  /** Queues a message; resolves with the message as the server stored it. Rejects as `add` does. */
  async send(roomId: string, message: string, options: MessageOptions = {}): Promise<Message> {
    const { message: stored } = await this.queue('send message', { ...options, roomId, message });
    return stored;
  }

  /** Queues a request with an id of its own; resolves with its answer. Rejects as `add` does. */
  queue<N extends QueuedRequest>(request: N, data: WithoutId<N>): Promise<RequestAnswer<N>> {
    // The answer of an entry is that of its request.
    return this.add(this.entryOf(request, data)) as Promise<RequestAnswer<N>>;
  }

  /** The entry that `queue` adds. */
  entryOf<N extends QueuedRequest>(request: N, data: WithoutId<N>): EntryOf<N> {
    const { newId, now } = this.#options;
    const id = newId();
    const named = { 'send message': { messageId: id }, 'edit message': { editId: id } }[request as string];
    // These are the data of the request, with the id that they had not.
    return {
      ...{ id, request, data: { ...data, ...named } },
      queuedAt: new Date(now()).toISOString(),
    } as unknown as EntryOf<N>;
  }

  /**
   * Queues an entry and resolves with the answer. Of the same reaction to the same message only the last waits. Rejects
   * with the server's refusal, with `too_many` when the outbox is full, or with the error of the store. After `closed`
   * and `signed_out` the entry stays in the store, for the next outbox to `resume`.
   */
  add(entry: OutboxEntry): Promise<unknown> {
    for (const job of this.#jobs.values()) {
      if (job.isSent || !isSameReaction(job.entry, entry)) continue;
      job.entry = { ...entry, id: job.entry.id };
      job.stored = this.#put(job.entry);
      return job.answered.promise;
    }
    if (this.#jobs.size >= this.#options.limit) return Promise.reject(new ClientError({ code: 'too_many' }));
    // Stored before it is sent, so that a restart in between sends it again, under the same id.
    return this.#queue(entry, this.#put(entry));
  }

  /** Queues what an earlier outbox left in the store, before all that is queued here. */
  async resume(): Promise<void> {
    this.#isResuming = true;
    try {
      const left = await this.#options.store.load();
      const added = new Map(this.#jobs);
      this.#jobs.clear();
      // Its sender no longer waits; `onRefused` is called all the same.
      for (const entry of left) this.#queue(entry, Promise.resolve()).catch(() => {});
      for (const [id, job] of added) this.#jobs.set(id, job);
    } finally {
      this.#isResuming = false;
      this.#pump();
    }
  }

  #queue(entry: OutboxEntry, stored: Promise<void>): Promise<unknown> {
    const answered = deferred<unknown>();
    this.#jobs.set(entry.id, { entry, stored, isSent: false, answered });
    this.#pump();
    return answered.promise;
  }

  #pump(): void {
    for (const job of this.#jobs.values()) {
      if (this.#isResuming || this.#busy.size >= MAX_BUSY_ROOMS) return;
      if (!job.isSent && !this.#busy.has(job.entry.data.roomId)) void this.#run(job);
    }
  }

  async #run(job: Job): Promise<void> {
    const { roomId } = job.entry.data;
    job.isSent = true;
    this.#busy.add(roomId);
    const settle = await this.#deliver(job);
    this.#busy.delete(roomId);
    try {
      settle();
    } catch (error) {
      job.answered.reject(error);
    }
    this.#pump();
  }

  /** Sends the entry; the function that it gives tells of the outcome. */
  async #deliver({ entry, stored, answered }: Job): Promise<() => void> {
    const { onAnswered, onRefused } = this.#options;
    try {
      await stored;
      const answer = await this.#client.request(entry.request, entry.data, FOREVER);
      await this.#forget(entry);
      return () => {
        this.#jobs.delete(entry.id);
        onAnswered(entry, answer);
        answered.resolve(answer);
      };
    } catch (error) {
      const isRefused = error instanceof ClientError && !isOver(error);
      if (isRefused) await this.#forget(entry);
      return () => {
        if (isRefused || !(error instanceof ClientError)) this.#jobs.delete(entry.id);
        if (isRefused) onRefused(entry, error);
        answered.reject(error);
      };
    }
  }

  #put(entry: OutboxEntry): Promise<void> {
    const stored = (async () => this.#options.store.put(entry))();
    // It may fail before its turn comes, when it is not awaited yet.
    stored.catch(() => {});
    return stored;
  }

  async #forget(entry: OutboxEntry): Promise<void> {
    try {
      await this.#options.store.remove(entry.id);
    } catch {
      // The next outbox sends it again and gets the same answer. This is harmless.
    }
  }
}

/** A UUID of version 7 (RFC 9562): ids that grow with time cost the server's index the least. */
export function newUuid(): string {
  // Browsers, Node and React Native with its polyfill have it; the types of a bare ECMAScript do not.
  const { crypto } = globalThis as unknown as { crypto: { getRandomValues(bytes: Uint8Array): Uint8Array } };
  const digits = [...crypto.getRandomValues(new Uint8Array(18))].map((byte) => (byte & 15).toString(16));
  const time = Date.now().toString(16).padStart(12, '0');
  // The version is 7, the variant `10` with two bits that may be anything: 72 random bits follow.
  return `${time}7${digits.join('')}`.replace(/(.{8})(.{4})(.{4})(.{3})/, '$1-$2-$3-8$4-');
}

/** Whether the client has ended, so that the entry waits for the next one. */
export const isOver = ({ code }: ClientError): boolean => code === 'closed' || code === 'signed_out';

/** Whether both set the same reaction of the same message, so that only the later counts. */
const isSameReaction = (a: OutboxEntry, b: OutboxEntry): boolean =>
  reactionOf(a) !== '' && reactionOf(a) === reactionOf(b);

const reactionOf = ({ request, data }: OutboxEntry): string =>
  request === 'react' ? `${data.roomId} ${data.messageId} ${data.emoji}` : '';
