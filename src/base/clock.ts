/** Time for code that also runs on the simulator's virtual clock. */
export interface Clock {
  /** Returns monotonic milliseconds. */
  now(): number;
  /** Calls `run` once after `ms`. Returns the function that cancels it. */
  setTimer(run: () => void, ms: number): () => void;
  /** Calls `run` after this turn of the event loop has handled its input. */
  setImmediate(run: () => void): void;
}

/** Calls `run` once after `ms`. Returns the function that cancels it. */
export type Timer = (run: () => void, ms: number) => () => void;

/** Node calls a timer that is set for longer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The real timer. It also takes times that are too long for one of Node's own, as settings may give them. */
export const systemTimer: Timer = (run, ms) => {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    const step = Math.min(left, LONGEST_TIMER_MS);
    timer = setTimeout(() => (left > step ? wait(left - step) : run()), step);
  };
  wait(ms);
  return () => clearTimeout(timer);
};

/** The real time of this thread. Each thread has its own zero. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer: systemTimer,
  setImmediate,
};

/** Resolves after `ms`. */
export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.setTimer(resolve, ms);
  });

/** Resolves when the attempt has ended, or after `ms`. Leaves no timer, which would keep an operator's command alive. */
export async function waitAtMost(clock: Clock, ms: number, attempt: Promise<void>): Promise<void> {
  let cancel = (): void => {};
  const late = new Promise<void>((resolve) => {
    cancel = clock.setTimer(resolve, ms);
  });
  try {
    await Promise.race([attempt, late]);
  } finally {
    cancel();
  }
}

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

/** A process whose tick is later than this has stalled: it was stopped, or a turn of its event loop took long. */
const STALL_MS = 1000;

/**
 * Milliseconds in which this process ran: of the time between two ticks, at most `tickMs` count. So no peer is judged
 * by a time in which it could not be heard.
 */
export class RunningTime {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #tickMs: number;
  #ran = 0;
  #tickedAt: number;

  /** `tick` must be called every `tickMs`, which is less than `STALL_MS`. */
  constructor(clock: Pick<Clock, 'now'>, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#tickedAt = clock.now();
  }

  now(): number {
    return this.#ran + Math.min(this.#clock.now() - this.#tickedAt, this.#tickMs);
  }

  /** Returns whether the process stalled since the last call: what its peers sent may not have been read yet. */
  tick(): boolean {
    const now = this.#clock.now();
    const hasStalled = now - this.#tickedAt > STALL_MS;
    this.#ran = this.now();
    this.#tickedAt = now;
    return hasStalled;
  }
}

/** Decides when a silent peer is to be asked for a sign of life, and when it is gone. */
export class SilenceWatch {
  #heardAt: number;
  /** When it was asked, if it was since it was last heard. */
  #askedAt: number | undefined;

  constructor(now: number) {
    this.#heardAt = now;
  }

  hear(now: number): void {
    this.#heardAt = now;
    this.#askedAt = undefined;
  }

  /** The peer is to be asked after `askAfterMs` of silence, and is gone when silent for `waitMs` after that. */
  check(now: number, askAfterMs: number, waitMs: number): 'ask' | 'gone' | undefined {
    if (this.#askedAt !== undefined) return now - this.#askedAt >= waitMs ? 'gone' : undefined;
    if (now - this.#heardAt < askAfterMs) return undefined;
    this.#askedAt = now;
    return 'ask';
  }

  /** Whether the peer was asked and is to be asked again: its time to answer begins anew. */
  askAgain(now: number): boolean {
    if (this.#askedAt === undefined) return false;
    this.#askedAt = now;
    return true;
  }
}

/** Returns milliseconds that no change of the system clock affects. */
export const monotonicNow = (): number => performance.now();

/**
 * Runs the calls of several callers together: those of one turn of the event loop at its end, but not before
 * `intervalMs` have passed since a call that began work. One wake-up then serves all of them.
 */
export class PacedCalls {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #calls: (() => boolean)[] = [];
  #workedAt = Number.NEGATIVE_INFINITY;
  #isRunning = false;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Runs `call` once with the next ones. It returns whether it began work, and must not throw. */
  add(call: () => boolean): void {
    if (this.#calls.push(call) === 1 && !this.#isRunning) this.#schedule();
  }

  #schedule(): void {
    const waitMs = this.#workedAt + this.#intervalMs - this.#clock.now();
    if (waitMs <= 0) this.#clock.setImmediate(this.#run);
    else this.#clock.setTimer(this.#run, waitMs);
  }

  readonly #run = (): void => {
    const calls = this.#calls;
    this.#calls = [];
    this.#isRunning = true;
    const now = this.#clock.now();
    for (const call of calls) if (call()) this.#workedAt = now;
    this.#isRunning = false;
    if (this.#calls.length > 0) this.#schedule();
  };
}

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
