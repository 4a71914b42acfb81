import type { Clock } from '../../src/base/clock.js';
import type { RandomSource } from './randomSource.js';
import type { Timeline } from './timeline.js';

/** The largest error of a machine's clock rate. */
const DRIFT = 0.05;
/** The largest delay of a timer, in milliseconds. */
const LATE_MS = 2;

/**
 * What one process of the simulated world runs on: all that happens in it goes through `run`. It can be paused, as by
 * SIGSTOP: then all of it is held, and happens late; and it can die, and nothing happens any more. Its clock starts
 * anywhere, runs a little fast or slow, and does not stop while it is paused.
 */
export class Machine {
  readonly clock: Clock;
  #isDead = false;
  #isPaused = false;
  /** Work that is held during a pause, and until the process has caught up. */
  #held: (() => void)[] | undefined;
  readonly #timeline: Timeline;
  readonly #draw: RandomSource;

  constructor(timeline: Timeline, random: RandomSource) {
    this.#timeline = timeline;
    this.#draw = random;
    const zero = random.between(0, 10_000);
    const rate = random.between(1 - DRIFT, 1 + DRIFT);
    this.clock = {
      now: () => zero + timeline.now * rate,
      setTimer: (run, ms) => this.after(ms / rate + random.between(0, LATE_MS), run),
      setImmediate: (run) => timeline.soon(() => this.run(run)),
    };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Runs work in this process: now, after the pause, or never if it has died. */
  run(what: () => void): void {
    if (this.#isDead) return;
    if (this.#held) this.#held.push(what);
    else what();
  }

  /** Runs work in this process after `ms` milliseconds of the world; returns a function that cancels it. */
  after(ms: number, run: () => void): () => void {
    let isCancelled = false;
    this.#timeline.after(ms, () =>
      this.run(() => {
        if (!isCancelled) run();
      }),
    );
    return () => {
      isCancelled = true;
    };
  }

  pause(): void {
    this.#isPaused = true;
    this.#held ??= [];
  }

  /** Ends the pause: held work runs now in its order, later work after it. */
  resume(): void {
    this.#isPaused = false;
    this.#catchUp();
  }

  #catchUp(): void {
    if (this.#isPaused) return;
    const what = this.#held?.shift();
    if (!what) {
      this.#held = undefined;
      return;
    }
    what();
    this.#timeline.after(0.01, () => this.#catchUp());
  }

  die(): void {
    this.#isDead = true;
    this.#held = undefined;
  }

  /** A channel into this process that keeps the order of messages and delays each by at most `maxMs`. */
  channel(maxMs: number): (deliver: () => void) => void {
    const queue: (() => void)[] = [];
    return (deliver) => {
      queue.push(deliver);
      // Whichever timer fires first delivers the oldest message.
      this.after(this.#draw.between(0, maxMs), () => queue.shift()?.());
    };
  }
}
