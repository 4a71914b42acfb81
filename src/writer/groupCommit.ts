/**
 * The minimum interval between batches to the writer thread, longer when the last batch came at the `many`
 * rate. Waking a thread and syncing a disk cost far more than a message. Batching halves the cost of a
 * message for a few milliseconds of delay.
 */
const GROUP_COMMIT_INTERVAL_MS = { few: 2, many: 5 } as const;
/** The rate of a batch from which the interval is `many`. */
const BUSY_COMMANDS_PER_MS = 4;

/**
 * Gathers what is to be committed together. Sends at once after a pause, so that a single item does not wait. Under
 * load, sends once an interval.
 */
export class GroupCommit<T> {
  #waiting: T[] = [];
  #sentAt = Number.NEGATIVE_INFINITY;
  #intervalMs: number = GROUP_COMMIT_INTERVAL_MS.few;

  constructor(private readonly send: (batch: readonly T[]) => void) {}

  /** Adds an item to the next batch. */
  add(item: T): void {
    if (this.#waiting.push(item) === 1) this.#sendSoon();
  }

  /** Sends what waits now. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    this.#sentAt = performance.now();
    const isMany = this.#waiting.length > BUSY_COMMANDS_PER_MS * this.#intervalMs;
    this.#intervalMs = isMany ? GROUP_COMMIT_INTERVAL_MS.many : GROUP_COMMIT_INTERVAL_MS.few;
    const batch = this.#waiting;
    this.#waiting = [];
    this.send(batch);
  }

  #sendSoon(): void {
    const wait = this.#sentAt + this.#intervalMs - performance.now();
    if (wait <= 0) setImmediate(() => this.flush());
    else setTimeout(() => this.flush(), wait);
  }
}
