import { type Clock, systemClock } from '../base/clock.js';
import { HoleError, StorageError } from './log.js';

/** Where a reader begins and how it reads; `T` is a commit, or an item made of one. */
export interface ReadSource<T> {
  readonly partition: number;
  /** The first item handed on is at the position after this one. */
  readonly after: number;
  /** See `EventLog.read`. */
  read(after: number, limit: number): Promise<readonly T[]>;
}

/** The receiver of a reader's items and failures. */
export interface ReadHandlers<T> {
  /** Called once for each item, in order. The next call waits for the returned promise. */
  handle(item: T): void | Promise<void>;
  /** Called once when the reader stops for good: with `HoleError`, `StorageError` or the error of `handle`. */
  onStop(error: unknown): void;
  /** Called when a read failed. The reader retries with exponential back-off. */
  onReadError(error: unknown): void;
}

/** One partition's commits in order, without gap or repeat, from a position on and for as long as it runs. */
export interface TailReader<T> {
  /** The last position handed on. */
  readonly position: number;
  /**
   * The doorbell: this one is durable. It may ring late, twice or not at all; what it skips is read from the
   * log. An item that comes next, to a reader at rest, is handed on before this returns.
   */
  notify(item: T): void;
  /** The log reaches this position, its owner says: what is missing up to there is read now. It may have reached more. */
  notifyTail(position: number): void;
  /** Hands on nothing more; resolves once what is being handled is done, so not to be awaited in `handle`. */
  stop(): Promise<void>;
}

/** Without a doorbell for `QUIET_MS` the reader looks by itself, every `POLL_MS`. */
const POLL_MS = 500;
const SILENT_AFTER_MS = 1500;
const BACK_OFF_MS = { first: 50, most: 5000 };
/** How many are read at once, and how many of the doorbell's are kept: the rest is read again. */
const BATCH_COMMITS = 64;

/** Starts to read a partition, and reads on until stopped. */
export function follow<T extends { readonly position: number }>(
  source: ReadSource<T>,
  handlers: ReadHandlers<T>,
  clock: Pick<Clock, 'now' | 'setTimer'> = systemClock,
): TailReader<T> {
  const reader = new FollowingReader(source, handlers, clock);
  reader.poll();
  return reader;
}

class FollowingReader<T extends { readonly position: number }> implements TailReader<T> {
  position: number;
  /** The doorbell's items that come next, without a gap. */
  #pending: T[] = [];
  /** The highest position that the doorbell spoke of. */
  #notifiedTail = 0;
  #notifiedAt = Number.NEGATIVE_INFINITY;
  /** Reads in a row that failed, or that did not show what the doorbell spoke of. */
  #failures = 0;
  /** When to read again after a failure; rings in the meantime do not put it off. */
  #retryAt = 0;
  #isStopped = false;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  #cancelTimer = (): void => {};

  constructor(
    private readonly source: ReadSource<T>,
    private readonly handlers: ReadHandlers<T>,
    private readonly clock: Pick<Clock, 'now' | 'setTimer'>,
  ) {
    this.position = source.after;
  }

  notify(item: T): void {
    if (this.#isStopped) return;
    this.#notifiedAt = this.clock.now();
    const last = this.#pending.at(-1)?.position ?? this.position;
    if (item.position === last + 1 && this.#pending.length < BATCH_COMMITS) this.#pending.push(item);
    this.#notifiedTail = Math.max(this.#notifiedTail, item.position);
    this.#start(false);
  }

  notifyTail(position: number): void {
    // Who says less than is known here is no owner any more: the next one may be out of hearing.
    if (this.#isStopped || position < this.position) return;
    this.#notifiedAt = this.clock.now();
    this.#notifiedTail = Math.max(this.#notifiedTail, position);
    this.#start(false);
  }

  /** Reads the log now, to its end. */
  poll(): void {
    this.#start(true);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer();
    await this.#running;
  }

  #start(look: boolean): void {
    if (this.#isRunning || this.#isStopped) return;
    this.#isRunning = true;
    this.#cancelTimer();
    this.#running = this.#run(look);
  }

  // Awaits only what is asynchronous, so that the doorbell of a reader at rest is handled within its own turn.
  async #run(look: boolean): Promise<void> {
    try {
      for (let reading = look; ; ) {
        for (let item = this.#pending.shift(); item; item = this.#pending.shift()) {
          const handled = this.#handle(item);
          if (handled) await handled;
        }
        // After a failure the timer reads on, not each ring.
        if (this.#isStopped || !(reading || (this.#failures === 0 && this.position < this.#notifiedTail)))
          break;
        const page = await this.#readPage();
        for (const item of page) await this.#handle(item);
        reading = page.length > 0;
      }
    } catch (error) {
      if (!this.#isStopped) this.handlers.onStop(error);
      this.#isStopped = true;
    }
    this.#isRunning = false;
    this.#schedule();
  }

  /** Nothing, when there is nothing or when the read failed in a way that may pass. */
  async #readPage(): Promise<readonly T[]> {
    try {
      const page = await this.#readTwiceOnHole();
      if (page.length === 0 && this.position < this.#notifiedTail) this.#countFailure();
      else this.#failures = 0;
      return page;
    } catch (error) {
      if (error instanceof HoleError || error instanceof StorageError) throw error;
      this.#countFailure();
      this.handlers.onReadError(error);
      return [];
    }
  }

  #countFailure(): void {
    const { first, most } = BACK_OFF_MS;
    this.#retryAt = this.clock.now() + Math.min(first * 2 ** this.#failures, most);
    this.#failures++;
  }

  /** A hole that is still there when read again is one. */
  async #readTwiceOnHole(): Promise<readonly T[]> {
    const { source } = this;
    try {
      return await source.read(this.position, BATCH_COMMITS);
    } catch (error) {
      if (!(error instanceof HoleError)) throw error;
      return await source.read(this.position, BATCH_COMMITS);
    }
  }

  #handle(item: T): void | Promise<void> {
    if (this.#isStopped || item.position <= this.position) return;
    if (item.position !== this.position + 1) throw new HoleError(this.source.partition, this.position + 1);
    // Moved first: what throws is not handed on again, and ends the reader.
    this.position = item.position;
    return this.handlers.handle(item);
  }

  #schedule(): void {
    if (this.#isStopped) return;
    const wait = this.#failures > 0 ? Math.max(0, this.#retryAt - this.clock.now()) : POLL_MS;
    this.#cancelTimer = this.clock.setTimer(() => {
      const quiet = this.clock.now() - this.#notifiedAt >= SILENT_AFTER_MS;
      if (quiet || this.#failures > 0) this.poll();
      else this.#schedule();
    }, wait);
  }
}
