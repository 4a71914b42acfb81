/** Time as a part sees it that must also run in virtual time. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Runs it once in so many milliseconds; returns the function that takes it back. */
  setTimer(run: () => void, ms: number): () => void;
  /** Runs it when this turn of the event loop has taken in what has arrived. */
  soon(run: () => void): void;
}

/** The time of this thread: its zero is another in each. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(run, ms) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  soon: (run) => void setImmediate(run),
};

/** Resolves in so many milliseconds. */
export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.setTimer(resolve, ms);
  });

/** What an attempt comes to; rejects with `late` when that takes longer than so many milliseconds. It may still succeed. */
export async function bounded<T>(
  clock: Clock,
  ms: number,
  attempt: Promise<T>,
  late: () => Error,
): Promise<T> {
  let takeBack = (): void => {};
  const tooLate = new Promise<never>((_, reject) => {
    takeBack = clock.setTimer(() => reject(late()), ms);
  });
  try {
    return await Promise.race([attempt, tooLate]);
  } finally {
    takeBack();
  }
}

/** Calls back once after so many milliseconds; returns the function that takes it back. */
export type Timer = (run: () => void, ms: number) => () => void;

export const systemTimer: Timer = (run, ms) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** Milliseconds that no change of the clock moves. */
export const monotonic = (): number => performance.now();

/** Work that comes again: once in so many milliseconds, or sooner when it is asked for. One turn at a time. */
export class Loop {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #turn: () => Promise<void>;
  #running: Promise<void> | undefined;
  #isHurried = false;
  #isStopped = false;
  #cancel = (): void => {};

  /** `turn` handles its own errors. */
  constructor(clock: Clock, everyMs: number, turn: () => Promise<void>) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#turn = turn;
  }

  /** A turn begins now, or when the one under way has ended. */
  hurry(): void {
    if (this.#isStopped) return;
    if (this.#running) this.#isHurried = true;
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
      this.#isHurried = false;
      began = this.#clock.now();
      await this.#turn();
    } while (this.#isHurried && !this.#isStopped);
    this.#running = undefined;
    if (this.#isStopped) return;
    const wait = Math.max(0, began + this.#everyMs - this.#clock.now());
    this.#cancel = this.#clock.setTimer(() => this.hurry(), wait);
  }
}
