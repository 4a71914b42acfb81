/** Doubling ends after this number of failures in a row: a single one may be the machine's fault. */
const failuresToTurn = 2;

/** Finds the highest rate that passes: doubles the rate first, then bisects on a logarithmic scale. Does no I/O. */
export class RateSearch {
  readonly #precision: number;
  readonly #start: number;
  readonly #passed: number[] = [];
  readonly #failed: number[] = [];
  #doubling: number;
  #failuresInRow = 0;

  /** @param precision the search ends when the lowest failed rate divided by the highest passed rate is at most this */
  constructor(start: number, precision: number) {
    this.#start = start;
    this.#doubling = start;
    this.#precision = precision;
  }

  /** Records the outcome of a rate, also of one that `next` did not return. */
  report(rate: number, passed: boolean): void {
    (passed ? this.#passed : this.#failed).push(rate);
    if (rate !== this.#doubling) return;
    this.#failuresInRow = passed ? 0 : this.#failuresInRow + 1;
    this.#doubling *= 2;
  }

  /** The highest rate that passed; 0 if none did. Ignores failures at lower rates. */
  get best(): number {
    return Math.max(0, ...this.#passed);
  }

  /** The rate to try next; `undefined` when the search is over. */
  next(): number | undefined {
    if (this.#failuresInRow < failuresToTurn) return this.#doubling;
    const { best } = this;
    const failed = Math.min(...this.#failed.filter((rate) => rate > best));
    if (best === 0) return failed > this.#start / 16 ? Math.round(failed / 2) : undefined;
    return failed / best <= this.#precision ? undefined : Math.round(Math.sqrt(failed * best));
  }
}
