import type { Clock } from '../clock.js';

/** Work that comes again: once in so many milliseconds, or sooner when it is asked for. One turn at a time. */
export class Loop {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #turn: () => Promise<void>;
  #running: Promise<void> | undefined;
  #isHurried = false;
  #isStopped = false;
  #cancel = (): void => {};

  /** `turn` handles its own errors. */
  constructor(clock: Clock, everyMs: number, turn: () => Promise<void>) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#turn = turn;
  }

  /** A turn begins now, or when the one under way has ended. */
  hurry(): void {
    if (this.#isStopped) return;
    if (this.#running) this.#isHurried = true;
    else this.#running = this.#run();
  }

  /** No further turn begins; resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#cancel();
    let began: number;
    do {
      this.#isHurried = false;
      began = this.#clock.now();
      await this.#turn();
    } while (this.#isHurried && !this.#isStopped);
    this.#running = undefined;
    if (this.#isStopped) return;
    const wait = Math.max(0, began + this.#everyMs - this.#clock.now());
    this.#cancel = this.#clock.setTimer(() => this.hurry(), wait);
  }
}
