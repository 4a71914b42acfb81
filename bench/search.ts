/** Finds the highest rate that passes, by doubling and then halving the interval on a logarithmic scale. Pure. */
export class RateSearch {
  readonly #precision: number;
  readonly #outcomes: { readonly rate: number; readonly passed: boolean }[] = [];
  readonly #start: number;

  /** @param precision the search ends when the lowest failure is at most so many times the highest success */
  constructor(start: number, precision: number) {
    this.#start = start;
    this.#precision = precision;
  }

  report(rate: number, passed: boolean): void {
    this.#outcomes.push({ rate, passed });
  }

  /** The highest rate that passed; 0 before any did. A failure below it was bad luck. */
  get best(): number {
    return Math.max(0, ...this.#outcomes.filter(({ passed }) => passed).map(({ rate }) => rate));
  }

  /** The rate to try next; undefined when the search is over. */
  next(): number | undefined {
    const { best } = this;
    const failed = Math.min(
      ...this.#outcomes.filter(({ rate, passed }) => !passed && rate > best).map(({ rate }) => rate),
    );
    if (this.#outcomes.length === 0) return this.#start;
    if (failed === Number.POSITIVE_INFINITY) return best * 2;
    if (best === 0) return failed > this.#start / 16 ? Math.round(failed / 2) : undefined;
    return failed / best <= this.#precision ? undefined : Math.round(Math.sqrt(failed * best));
  }
}
