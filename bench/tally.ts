/** Matches deliveries to sends by message number, and counts lost and duplicated messages. */
export class Tally {
  readonly #first: number;
  readonly #scheduledAt: Float64Array;
  readonly #deliveries: Uint8Array;
  #sent = 0;
  #acknowledged = 0;
  #doubled = 0;
  #open = 0;
  #oldest = 0;
  readonly refusals = new Map<string, number>();

  /**
   * @param first the number of the first message sent
   * @param capacity the largest number of messages
   */
  constructor(first: number, capacity: number) {
    this.#first = first;
    this.#scheduledAt = new Float64Array(capacity);
    this.#deliveries = new Uint8Array(capacity);
  }

  /**
   * Records the next message and returns its number. `at` is in milliseconds, always of the same clock. Throws a
   * `RangeError` above the capacity.
   */
  scheduled(at: number): number {
    const index = this.#sent++;
    if (index >= this.#scheduledAt.length) throw new RangeError('the load has more messages than expected');
    this.#open++;
    this.#scheduledAt[index] = at;
    return this.#first + index;
  }

  /** The scheduled time of a message; `undefined` for a message that was not sent. */
  scheduledAt(message: number): number | undefined {
    const index = message - this.#first;
    return index < this.#sent ? this.#scheduledAt[index] : undefined;
  }

  /** Records a delivery and returns the message's scheduled time; `undefined` for an unknown message or a duplicate. */
  delivered(message: number): number | undefined {
    const at = this.scheduledAt(message);
    if (at === undefined) return undefined;
    const index = message - this.#first;
    if (this.#deliveries[index] !== 0) {
      this.#doubled++;
      return undefined;
    }
    this.#deliveries[index] = 1;
    this.#open--;
    return at;
  }

  /** Records an answer and returns the message's scheduled time; `undefined` for an unknown message. */
  acknowledged(message: number): number | undefined {
    this.#acknowledged++;
    return this.scheduledAt(message);
  }

  refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  /** The scheduled time of the oldest undelivered message; `undefined` if all are delivered. */
  oldestOpen(): number | undefined {
    while (this.#oldest < this.#sent && this.#deliveries[this.#oldest] !== 0) this.#oldest++;
    return this.#oldest < this.#sent ? this.#scheduledAt[this.#oldest] : undefined;
  }

  get sent(): number {
    return this.#sent;
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
