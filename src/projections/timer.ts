/** Calls back once after so many milliseconds; returns the function that takes it back. */
export type Timer = (run: () => void, ms: number) => () => void;

export const systemTimer: Timer = (run, ms) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** Milliseconds that no change of the clock moves. */
export const monotonic = (): number => performance.now();
