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

/** Follows one partition: hands on its commits in order, without gap or repeat, until stopped. */
export interface TailReader<T> {
  /** The position of the last item handed on. */
  readonly position: number;
  /**
   * Notifies the reader of a durable item. Notifications may be late, repeated or missing: the reader reads
   * skipped items from the log. The next item is handled before this returns if the reader is idle.
   */
  notify(item: T): void;
  /** Notifies the reader that the log reaches at least this position. The reader reads up to there. */
  notifyTail(position: number): void;
  /** Hands on nothing more. Resolves once the current item is handled, so `handle` must not await it. */
  stop(): Promise<void>;
}

/** The reader polls every `POLL_MS` once it has had no notification for `SILENT_AFTER_MS`. */
const POLL_MS = 500;
const SILENT_AFTER_MS = 1500;
const BACK_OFF_MS = { min: 50, max: 5000 };
/** The limit of one read, and of buffered notifications. Items beyond it are read again. */
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
  /** Notified items that come next, without a gap. */
  #pending: T[] = [];
  /** The highest position notified. */
  #notifiedTail = 0;
  #notifiedAt = Number.NEGATIVE_INFINITY;
  /** Consecutive reads that failed, or did not reach the notified position. */
  #failures = 0;
  /** The time of the retry after a failure. Notifications do not postpone it. */
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
    const { position } = item;
    if (position > this.#notifiedTail) this.#notifiedTail = position;
    if (this.#isRunning || position !== this.position + 1) {
      const last = this.#pending.at(-1)?.position ?? this.position;
      if (position === last + 1 && this.#pending.length < BATCH_COMMITS) this.#pending.push(item);
      return this.#start(false);
    }
    // The usual case. The timer stays as it is: it reads only after silence or a failure.
    this.#isRunning = true;
    this.position = position;
    let handled: void | Promise<void>;
    try {
      handled = this.handlers.handle(item);
    } catch (error) {
      return this.#fail(error);
    }
    this.#isRunning = false;
    if (handled || this.#pending.length > 0) this.#start(false, handled);
  }

  notifyTail(position: number): void {
    // A sender behind this reader owns the partition no more. The new owner may be unreachable, so polling
    // must go on.
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

  /** `handling`: the handling of an item that has begun. */
  #start(isPolling: boolean, handling?: void | Promise<void>): void {
    if (this.#isRunning || (this.#isStopped && !handling)) return;
    this.#isRunning = true;
    this.#cancelTimer();
    this.#running = this.#run(isPolling, handling);
  }

  // Awaits only promises, so that an idle reader handles a notified item in the same turn.
  async #run(isPolling: boolean, handling?: void | Promise<void>): Promise<void> {
    try {
      if (handling) await handling;
      for (let reading = isPolling; ; ) {
        for (let item = this.#pending.shift(); item; item = this.#pending.shift()) {
          const handled = this.#handle(item);
          if (handled) await handled;
        }
        // After a failure only the timer starts a read, not each notification.
        if (this.#isStopped || !(reading || (this.#failures === 0 && this.position < this.#notifiedTail)))
          break;
        const page = await this.#readPage();
        for (const item of page) await this.#handle(item);
        reading = page.length > 0;
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isRunning = false;
    this.#schedule();
  }

  #fail(error: unknown): void {
    if (!this.#isStopped) this.handlers.onStop(error);
    this.#isStopped = true;
    this.#cancelTimer();
  }

  /** Returns an empty page if nothing was found, or if the read failed temporarily. */
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
    const { min, max } = BACK_OFF_MS;
    this.#retryAt = this.clock.now() + Math.min(min * 2 ** this.#failures, max);
    this.#failures++;
  }

  /** Reads again on a hole: only a hole seen twice is real. */
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
    // Moved before handling: an item whose handling throws is not handed on again.
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
