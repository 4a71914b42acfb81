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
