import { monotonic, systemTimer, type Timer } from './timer.js';

/** How long somebody waits, or a partition seems behind, before the store is looked at; and then how often it is. */
const waitedMs = 100;
const behindMs = 500;
/** After failures in a row it looks ever more seldom, but at least so often. */
const failedMostMs = 5000;

/** Partitions, each with since when, on the clock of `ticks`. */
type Since = ReadonlyMap<number, number>;

interface PollerOptions {
  /** Partitions folded elsewhere that somebody waits for. */
  waited(): Since;
  /** Partitions folded elsewhere that seem behind. */
  behind(): Since;
  /** Reads the store's checkpoints of these partitions and passes them on. */
  look(partitions: readonly number[]): Promise<void>;
  /** A look failed; the next comes later. */
  onTrouble(error: unknown): void;
  readonly setTimer?: Timer;
  /** Milliseconds, monotonic. */
  readonly ticks?: () => number;
}

/**
 * Looks at the store for the progress that no note brought: one look at a time, and none while nobody waits for long
 * and nothing seems behind for long. So where notes arrive it hardly ever looks, and an idle process never.
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #setTimer: Timer;
  readonly #ticks: () => number;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;
  #isLooking = false;
  #isStopped = false;
  #failures = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#setTimer = options.setTimer ?? systemTimer;
    this.#ticks = options.ticks ?? monotonic;
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
    const at = this.#ticks() + (this.#failures === 0 ? ms : Math.min(ms * 2 ** this.#failures, failedMostMs));
    if (this.#next && this.#next.at <= at) return;
    this.#next?.cancel();
    this.#next = { at, cancel: this.#setTimer(() => void this.#run(), at - this.#ticks()) };
  }

  async #run(): Promise<void> {
    this.#next = undefined;
    this.#isLooking = true;
    const { waited, behind, look, onTrouble } = this.#options;
    const lacking = [waited(), behind()] as const;
    const isDue = this.#isLonger(lacking[0], waitedMs) || this.#isLonger(lacking[1], behindMs);
    // One query for all, so that partitions do not bring a look each.
    const partitions = new Set(lacking.flatMap((since) => [...since.keys()]));
    try {
      if (isDue) await look([...partitions]);
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      if (!this.#isStopped) onTrouble(error);
    }
    this.#isLooking = false;
    if (isDue) this.#lookedAt = this.#ticks();
    this.#scheduleNext();
  }

  #scheduleNext(): void {
    const { waited, behind } = this.#options;
    for (const [since, ms] of [
      [waited(), waitedMs],
      [behind(), behindMs],
    ] as const) {
      if (since.size === 0) continue;
      // Never sooner after a look than this, however long it has been so.
      const from = Math.max(this.#lookedAt, Math.min(...since.values()));
      this.#schedule(Math.max(0, from + ms - this.#ticks()));
    }
  }

  #isLonger(since: Since, ms: number): boolean {
    return [...since.values()].some((time) => time <= this.#ticks() - ms);
  }
}
