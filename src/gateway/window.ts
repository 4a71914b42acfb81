/** Tells when `limit` hits fall within `spanMs`; made when the first one is seen, so that others pay nothing. */
export class Window {
  readonly #times: Float64Array;
  readonly #span: number;
  #next = 0;

  constructor(limit: number, spanMs: number) {
    this.#times = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
    this.#span = spanMs;
  }

  /** Counts a hit at `now` (ms); true when it is the last of `limit` within the span. */
  hit(now: number): boolean {
    this.#times[this.#next] = now;
    this.#next = (this.#next + 1) % this.#times.length;
    return now - (this.#times[this.#next] ?? 0) <= this.#span;
  }
}
