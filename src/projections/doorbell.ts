import type { Ring } from './projectionWorker.js';

/** Waking a thread costs more than most commits: rings gather for so long, and rows gather longer anyway. */
const GATHER_MS = 20;
const GATHER_MOST = 64;

/** Rings for the projector's thread, gathered unless somebody waits. */
export class Doorbell {
  readonly #post: (rings: readonly Ring[]) => void;
  #rings: Ring[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (rings: readonly Ring[]) => void) {
    this.#post = post;
  }

  ring(ring: Ring): void {
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
    if (this.#rings.push(ring) >= GATHER_MOST) this.flush();
  }

  ringNow(ring: Ring): void {
    this.#rings.push(ring);
    this.flush();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#rings.length > 0) this.#post(this.#rings);
    this.#rings = [];
  }
}
