import type { Clock } from '../../src/base/clock.js';

/** A clock that stands still until it is told to go on, and timers that follow it. */
export interface VirtualTime extends Clock {
  /** Lets time pass, timer by timer, with everything that each sets off. */
  advance(ms: number): Promise<void>;
}

export function virtualTime(): VirtualTime {
  let now = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    setTimer(run, ms) {
      const timer = { at: now + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    setImmediate: (run) => void setImmediate(run),
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const [due] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!due) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.run();
        await settle();
      }
      now = end;
      await settle();
    },
  };
}
