/** So many failures in a row end the doubling: one may be the machine's, not the server's. */
const failuresToTurn = 2;

/** Finds the highest rate that passes, by doubling and then halving the interval on a logarithmic scale. Pure. */
export class RateSearch {
  readonly #precision: number;
  readonly #start: number;
  readonly #passed: number[] = [];
  readonly #failed: number[] = [];
  #doubling: number;
  #failuresInRow = 0;

  /** @param precision the search ends when the lowest failure is at most so many times the highest success */
  constructor(start: number, precision: number) {
    this.#start = start;
    this.#doubling = start;
    this.#precision = precision;
  }

  /** Takes the outcome of any rate, asked for or not. */
  report(rate: number, passed: boolean): void {
    (passed ? this.#passed : this.#failed).push(rate);
    if (rate !== this.#doubling) return;
    this.#failuresInRow = passed ? 0 : this.#failuresInRow + 1;
    this.#doubling *= 2;
  }

  /** The highest rate that passed; 0 before any did. A failure below it was bad luck. */
  get best(): number {
    return Math.max(0, ...this.#passed);
  }

  /** The rate to try next; undefined when the search is over. */
  next(): number | undefined {
    if (this.#failuresInRow < failuresToTurn) return this.#doubling;
    const { best } = this;
    const failed = Math.min(...this.#failed.filter((rate) => rate > best));
    if (best === 0) return failed > this.#start / 16 ? Math.round(failed / 2) : undefined;
    return failed / best <= this.#precision ? undefined : Math.round(Math.sqrt(failed * best));
  }
}
