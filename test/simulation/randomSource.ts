import type { Random } from '../support/random.js';

/** A source of random choices: the same seed gives the same world. */
export class RandomSource {
  constructor(readonly random: Random) {}

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** A random integer, both ends included. */
  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  /** A random element of a list that is not empty. */
  one<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)] as T; // Below the length.
  }

  /** A UUID of version 4. */
  uuid(): string {
    const hex = (digits: number) =>
      Math.floor(this.random() * 16 ** digits)
        .toString(16)
        .padStart(digits, '0');
    return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
  }
}
