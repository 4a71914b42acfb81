/** Time as a part sees it that must also run in virtual time. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Runs it once in so many milliseconds; returns the function that takes it back. */
  setTimer(run: () => void, ms: number): () => void;
  /** Runs it when this turn of the event loop has taken in what has arrived. */
  setImmediate(run: () => void): void;
}

/** The time of this thread: its zero is another in each. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(run, ms) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  setImmediate: (run) => void setImmediate(run),
};

/** Resolves in so many milliseconds. */
export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.setTimer(resolve, ms);
  });

/** What an attempt comes to; rejects with `late` when that takes longer than so many milliseconds. It may still succeed. */
export async function withTimeout<T>(
  clock: Clock,
  ms: number,
  attempt: Promise<T>,
  timeoutError: () => Error,
): Promise<T> {
  let cancel = (): void => {};
  const timeout = new Promise<never>((_, reject) => {
    cancel = clock.setTimer(() => reject(timeoutError()), ms);
  });
  try {
    return await Promise.race([attempt, timeout]);
  } finally {
    cancel();
  }
}

/** Calls back once after so many milliseconds; returns the function that takes it back. */
export type Timer = (run: () => void, ms: number) => () => void;

export const systemTimer: Timer = (run, ms) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** Work that comes again: once in so many milliseconds, or sooner when it is asked for. One turn at a time. */
export class PeriodicTask {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #isRunRequested = false;
  #isStopped = false;
  #cancel = (): void => {};

  /** `turn` handles its own errors. */
  constructor(clock: Clock, intervalMs: number, turn: () => Promise<void>) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#work = turn;
  }

  /** A turn begins now, or when the one under way has ended. */
  runNow(): void {
    if (this.#isStopped) return;
    if (this.#running) this.#isRunRequested = true;
    else this.#running = this.#run();
  }

  /** No further turn begins; resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#cancel();
    let began: number;
    do {
      this.#isRunRequested = false;
      began = this.#clock.now();
      await this.#work();
    } while (this.#isRunRequested && !this.#isStopped);
    this.#running = undefined;
    if (this.#isStopped) return;
    const wait = Math.max(0, began + this.#intervalMs - this.#clock.now());
    this.#cancel = this.#clock.setTimer(() => this.runNow(), wait);
  }
}
