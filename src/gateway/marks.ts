import type { Vector } from './cursor.js';

/** Who waits for a vector to reach a size. */
export class Marks {
  readonly #waiting = new Set<{ partition: number; size: number; resolve: () => void }>();

  /** Resolves when `vector`, or what `moved` is told later, has reached the size; the caller bounds the wait. */
  reached(vector: Vector, partition: number, size: number): { promise: Promise<void>; cancel: () => void } {
    let cancel = () => {};
    const promise = new Promise<void>((resolve) => {
      if ((vector[partition] ?? 0) >= size) return resolve();
      const waiter = { partition, size, resolve };
      this.#waiting.add(waiter);
      cancel = () => this.#waiting.delete(waiter);
    });
    return { promise, cancel };
  }

  moved(vector: Vector): void {
    for (const waiter of this.#waiting)
      if ((vector[waiter.partition] ?? 0) >= waiter.size) {
        this.#waiting.delete(waiter);
        waiter.resolve();
      }
  }
}
