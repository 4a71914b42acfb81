import { LRUCache } from 'lru-cache';

/** A first-in, first-out queue. `shift` takes constant time on average. */
export class Deque<T> implements Iterable<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** The item at this place, counted from the first. */
  at(index: number): T | undefined {
    return this.#items[this.#head + index];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.#head === this.#items.length) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) {
      // Every slot from head to the end holds an item.
      yield this.#items[i] as T;
    }
  }
}

/** The interval at which expired entries are removed from memory. */
export const SWEEP_MS = 5_000;

export interface ExpiringCacheOptions<V> {
  /** An entry is returned for this long, and removed from memory within `SWEEP_MS` after that. */
  readonly ttlMs: number;
  readonly maxEntries: number;
  /** The limit of the sum of `sizeOf`. Ignored without `sizeOf`. */
  readonly maxBytes?: number;
  readonly sizeOf?: (value: V, key: string) => number;
}

/** A bounded cache that also removes expired entries that are no longer read. */
export class ExpiringCache<V extends object | string> {
  readonly #entries: LRUCache<string, V>;
  readonly #sweeper: NodeJS.Timeout;

  constructor({ ttlMs, maxEntries, maxBytes, sizeOf }: ExpiringCacheOptions<V>) {
    this.#entries = new LRUCache<string, V>({
      max: maxEntries,
      ttl: ttlMs,
      // By default the library keeps the time for 1 ms, with a timer for each such millisecond.
      ttlResolution: 0,
      ...(maxBytes !== undefined && sizeOf ? { maxSize: maxBytes, sizeCalculation: sizeOf } : {}),
    });
    this.#sweeper = setInterval(() => this.#entries.purgeStale(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** `asOf` is the time at which the value was read, by `performance.now()`; now by default. */
  set(key: string, value: V, asOf?: number): void {
    this.#entries.set(key, value, asOf === undefined ? {} : { start: asOf });
  }

  /** Returns undefined if the entry expires in less than `leftMs`. */
  get(key: string, leftMs = 0): V | undefined {
    if (leftMs > 0 && this.#entries.getRemainingTTL(key) < leftMs) return undefined;
    return this.#entries.get(key);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Takes time in proportion to the number of entries. */
  deleteWhere(matches: (value: V, key: string) => boolean): void {
    for (const [key, value] of this.#entries.entries()) if (matches(value, key)) this.#entries.delete(key);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#entries.clear();
  }
}
