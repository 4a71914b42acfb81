/** How far a long piece of work is. */
export interface Progress {
  /** What is being done, in a few words. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** Of this phase, since it began. */
  readonly perSecond: number;
  /** Undefined until the speed is known. */
  readonly remainingMs: number | undefined;
}

/** Told now and then, synchronously. */
export type OnProgress = (progress: Progress) => void;

/** Measures one phase on the monotonic clock. */
export class Meter {
  #done = 0;
  readonly #from = performance.now();
  readonly #alreadyDone: number;

  /** `alreadyDone`: by an earlier run; it says nothing of the speed. */
  constructor(
    private readonly phase: string,
    private readonly total: number,
    private readonly tell: OnProgress = () => {},
    alreadyDone = 0,
  ) {
    this.#alreadyDone = alreadyDone;
  }

  add(count: number): void {
    this.#done += count;
    const ms = performance.now() - this.#from;
    const perSecond = ms > 0 ? (this.#done * 1000) / ms : 0;
    const done = this.#alreadyDone + this.#done;
    const left = Math.max(0, this.total - done);
    const remainingMs = perSecond > 0 ? (left * 1000) / perSecond : undefined;
    this.tell({
      phase: this.phase,
      done: Math.min(done, this.total),
      total: this.total,
      perSecond,
      remainingMs,
    });
  }
}
