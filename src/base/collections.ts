import { LRUCache } from 'lru-cache';

/** A first-in, first-out list whose `shift` is cheap however long it is. */
export class Deque<T> implements Iterable<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
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

  /** Costs a walk of all. */
  removeWhere(matches: (item: T) => boolean): void {
    this.#items = [...this].filter((item) => !matches(item));
    this.#head = 0;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) {
      // Between head and end there are only items.
      yield this.#items[i] as T;
    }
  }
}

const SWEEP_MS = 5_000;

export interface ExpiringCacheOptions<V> {
  /** An entry is answered for this long, and gone from memory 5 s later, asked for or not. */
  readonly ttlMs: number;
  readonly maxEntries: number;
  /** Bytes of all entries together, where `sizeOf` is given. */
  readonly maxBytes?: number;
  readonly sizeOf?: (value: V, key: string) => number;
}

/** A bounded cache that also forgets what nobody asks for. */
export class ExpiringCache<V extends object | string> {
  readonly #entries: LRUCache<string, V>;
  readonly #sweeper: NodeJS.Timeout;

  constructor({ ttlMs, maxEntries, maxBytes, sizeOf }: ExpiringCacheOptions<V>) {
    this.#entries = new LRUCache<string, V>({
      max: maxEntries,
      ttl: ttlMs,
      ...(maxBytes !== undefined && sizeOf ? { maxSize: maxBytes, sizeCalculation: sizeOf } : {}),
    });
    this.#sweeper = setInterval(() => this.#entries.purgeStale(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** `asOf`, of `performance.now()`: when the value was true, if not now. */
  set(key: string, value: V, asOf?: number): void {
    this.#entries.set(key, value, asOf === undefined ? {} : { start: asOf });
  }

  /** Undefined when less than `leftMs` of its time are left. */
  get(key: string, leftMs = 0): V | undefined {
    if (leftMs > 0 && this.#entries.getRemainingTTL(key) < leftMs) return undefined;
    return this.#entries.get(key);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Costs a walk of all entries. */
  deleteWhere(matches: (value: V) => boolean): void {
    for (const [key, value] of this.#entries.entries()) if (matches(value)) this.#entries.delete(key);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#entries.clear();
  }
}
