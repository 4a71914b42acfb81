/** Matches deliveries to sends by message number, and counts lost and duplicated messages. */
export class Tally {
  readonly #first: number;
  readonly #scheduledAt: number[] = [];
  readonly #deliveries: number[] = [];
  #acknowledged = 0;
  #doubled = 0;
  #open = 0;
  #oldest = 0;
  readonly refusals = new Map<string, number>();

  /** @param first the number of the first message sent */
  constructor(first: number) {
    this.#first = first;
  }

  /** Records the next message and returns its number. `at` is in milliseconds, always of the same clock. */
  scheduled(at: number): number {
    this.#open++;
    this.#deliveries.push(0);
    return this.#first + this.#scheduledAt.push(at) - 1;
  }

  /** Records a delivery and returns the message's scheduled time; `undefined` for an unknown message or a duplicate. */
  delivered(message: number): number | undefined {
    const at = this.#scheduledAt[message - this.#first];
    if (at === undefined) return undefined;
    const times = (this.#deliveries[message - this.#first] ?? 0) + 1;
    this.#deliveries[message - this.#first] = times;
    if (times > 1) this.#doubled++;
    else this.#open--;
    return times > 1 ? undefined : at;
  }

  acknowledged(): void {
    this.#acknowledged++;
  }

  refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  /** The scheduled time of the oldest undelivered message; `undefined` if all are delivered. */
  oldestOpen(): number | undefined {
    while ((this.#deliveries[this.#oldest] ?? 0) > 0) this.#oldest++;
    return this.#scheduledAt[this.#oldest];
  }

  get sent(): number {
    return this.#scheduledAt.length;
  }

  get isSettled(): boolean {
    return this.#open === 0 && this.#acknowledged >= this.sent;
  }

  /** The number of messages that were not delivered or not acknowledged. */
  get lost(): number {
    return Math.max(this.#open, this.sent - this.#acknowledged);
  }

  get doubled(): number {
    return this.#doubled;
  }
}
