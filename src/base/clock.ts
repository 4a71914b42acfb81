/** Time for code that also runs on the simulator's virtual clock. */
export interface Clock {
  /** Returns monotonic milliseconds. */
  now(): number;
  /** Calls `run` once after `ms`. Returns the function that cancels it. */
  setTimer(run: () => void, ms: number): () => void;
  /** Calls `run` after this turn of the event loop has handled its input. */
  setImmediate(run: () => void): void;
}

/** The real time of this thread. Each thread has its own zero. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(run, ms) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  setImmediate: (run) => void setImmediate(run),
};

/** Resolves after `ms`. */
export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.setTimer(resolve, ms);
  });

/**
 * Returns the attempt's result. Rejects with `timeoutError` after `ms`; the attempt may still succeed later.
 */
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

/** Calls `run` once after `ms`. Returns the function that cancels it. */
export type Timer = (run: () => void, ms: number) => () => void;

export const systemTimer: Timer = (run, ms) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** Returns milliseconds that no change of the system clock affects. */
export const monotonicNow = (): number => performance.now();

/** Runs work every `intervalMs`, or earlier on request, never two runs at once. */
export class PeriodicTask {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #isRunRequested = false;
  #isStopped = false;
  #cancel = (): void => {};

  /** `work` must handle its own errors. */
  constructor(clock: Clock, intervalMs: number, work: () => Promise<void>) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  /** Runs now, or right after the current run. */
  runNow(): void {
    if (this.#isStopped) return;
    if (this.#running) this.#isRunRequested = true;
    else this.#running = this.#run();
  }

  /** Starts no further run. Resolves when the current one has ended. */
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
