import type { Clock } from '../../src/base/clock.js';
import type { Draw } from './draw.js';
import type { Timeline } from './timeline.js';

/** How wrong the clock of a machine may run. */
const DRIFT = 0.05;
/** How late a timer may fire, in milliseconds. */
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
  /** What is held while it is paused, and until it has caught up. */
  #held: (() => void)[] | undefined;
  readonly #timeline: Timeline;
  readonly #draw: Draw;

  constructor(timeline: Timeline, draw: Draw) {
    this.#timeline = timeline;
    this.#draw = draw;
    const zero = draw.between(0, 10_000);
    const rate = draw.between(1 - DRIFT, 1 + DRIFT);
    this.clock = {
      now: () => zero + timeline.now * rate,
      setTimer: (run, ms) => this.after(ms / rate + draw.between(0, LATE_MS), run),
      setImmediate: (run) => timeline.soon(() => this.run(run)),
    };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Runs it in this process: now, when it goes on again, or never. */
  run(what: () => void): void {
    if (this.#isDead) return;
    if (this.#held) this.#held.push(what);
    else what();
  }

  /** Runs it in this process in so many milliseconds of the world; returns the function that takes it back. */
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

  /** Goes on: what was held happens now, in its order, and what comes meanwhile after it. */
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

  /** A way on which messages take so long at most, and keep their order. They arrive in this process. */
  channel(maxMs: number): (deliver: () => void) => void {
    const queue: (() => void)[] = [];
    return (deliver) => {
      queue.push(deliver);
      // Whichever arrival comes first brings what was sent first.
      this.after(this.#draw.between(0, maxMs), () => queue.shift()?.());
    };
  }
}
