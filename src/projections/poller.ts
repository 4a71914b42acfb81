import { systemTimer, type Timer } from './timer.js';

/** How long after the last look the next one comes: while somebody waits, and while something seems behind. */
const waitedMs = 100;
const behindMs = 500;
/** After failures in a row it looks ever more seldom, but at least so often. */
const failedMostMs = 5000;

interface PollerOptions {
  /** Partitions folded elsewhere that somebody waits for now. */
  waited(): readonly number[];
  /** Partitions folded elsewhere that seem behind, each with since when, on the clock of `now`. */
  behind(): ReadonlyMap<number, number>;
  /** Reads the store's checkpoints of these partitions and passes them on. */
  look(partitions: readonly number[]): Promise<void>;
  /** A look failed; the next comes later. */
  onTrouble(error: unknown): void;
  readonly setTimer?: Timer;
  readonly now?: () => number;
}

/**
 * Looks at the store for the progress that no note brought: one look at a time, and none while nobody waits and
 * nothing has seemed behind for half a second. So where notes arrive it hardly ever looks, and an idle process never.
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #setTimer: Timer;
  readonly #now: () => number;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;
  #isLooking = false;
  #isStopped = false;
  #failures = 0;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#setTimer = options.setTimer ?? systemTimer;
    this.#now = options.now ?? Date.now;
  }

  /** Somebody waits for a partition. */
  waits(): void {
    this.#schedule(waitedMs);
  }

  /** A partition seems behind. */
  lags(): void {
    this.#schedule(behindMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#next?.cancel();
  }

  #schedule(ms: number): void {
    if (this.#isStopped || this.#isLooking) return;
    const at = this.#now() + (this.#failures === 0 ? ms : Math.min(ms * 2 ** this.#failures, failedMostMs));
    if (this.#next && this.#next.at <= at) return;
    this.#next?.cancel();
    this.#next = { at, cancel: this.#setTimer(() => void this.#run(), at - this.#now()) };
  }

  async #run(): Promise<void> {
    this.#next = undefined;
    this.#isLooking = true;
    const { waited, behind, look, onTrouble } = this.#options;
    const long = [...behind()].filter(([, since]) => since <= this.#now() - behindMs);
    const partitions = new Set([...waited(), ...long.map(([partition]) => partition)]);
    try {
      if (partitions.size > 0) await look([...partitions]);
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      if (!this.#isStopped) onTrouble(error);
    }
    this.#isLooking = false;
    this.#scheduleNext();
  }

  #scheduleNext(): void {
    if (this.#options.waited().length > 0) this.#schedule(waitedMs);
    const since = [...this.#options.behind().values()];
    if (since.length === 0) return;
    const left = Math.min(...since) + behindMs - this.#now();
    this.#schedule(left > 0 ? Math.min(left, behindMs) : behindMs);
  }
}
