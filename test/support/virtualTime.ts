import type { Clock } from '../../src/base/clock.js';

/** A clock that stands still until it is told to go on, and timers that follow it. */
export interface VirtualTime extends Clock {
  /** Lets time pass, timer by timer, with everything that each sets off. */
  advance(ms: number): Promise<void>;
  /** The timers that are set: on a real clock they keep a process alive. */
  readonly pending: number;
  /** The time of day. */
  wallNow(): Date;
  /** Time passes in which nothing runs: what is due meanwhile runs late. */
  stall(ms: number): void;
  /** Sets the time of day forwards or back; nothing else notices. */
  stepWall(ms: number): void;
}

/** `startsAt`: the time of day at its zero. */
export function virtualTime(startsAt = 0): VirtualTime {
  let now = 0;
  let wallZero = startsAt;
  const timers = new Set<{ at: number; run: () => void }>();
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    get pending() {
      return timers.size;
    },
    wallNow: () => new Date(wallZero + now),
    stepWall(ms) {
      wallZero += ms;
    },
    setTimer(run, ms) {
      const timer = { at: now + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    setImmediate: (run) => void setImmediate(run),
    stall(ms) {
      now += ms;
    },
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
