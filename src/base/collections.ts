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

/** A number of 64 bits, as two of 32. */
export interface Digest {
  readonly low: number;
  readonly high: number;
}

/** What `DigestQueue` keeps for a digest. */
export interface Numbered {
  readonly offset: number;
  readonly seq: number;
}

const NONE_FOUND: readonly Numbered[] = [];
const FEWEST_SLOTS = 1024;
const NO_SLOT = -1;

/**
 * A first-in, first-out queue that finds its items by a digest. An item takes 32 bytes and no object, so that the
 * collector of garbage has nothing to copy. A digest may come more than once.
 */
export class DigestQueue {
  length = 0;
  #first = 0;
  #mask = FEWEST_SLOTS - 1;
  #lows = new Int32Array(FEWEST_SLOTS);
  #highs = new Int32Array(FEWEST_SLOTS);
  #offsets = new Float64Array(FEWEST_SLOTS);
  #seqs = new Float64Array(FEWEST_SLOTS);
  /** By slot, the slot of the item before it in its bucket. */
  #befores = new Int32Array(FEWEST_SLOTS);
  /** By bucket, the slot of its newest item. Items are few in a bucket: there are as many buckets as slots. */
  #newest = new Int32Array(FEWEST_SLOTS).fill(NO_SLOT);

  /** The offset of the first item; infinity if there is none. */
  get firstOffset(): number {
    return this.length === 0 ? Number.POSITIVE_INFINITY : (this.#offsets[this.#first] ?? 0);
  }

  push({ low, high }: Digest, offset: number, seq: number): void {
    if (this.length > this.#mask) this.#resize(2 * (this.#mask + 1));
    const slot = (this.#first + this.length++) & this.#mask;
    const bucket = low & this.#mask;
    this.#lows[slot] = low;
    this.#highs[slot] = high;
    this.#offsets[slot] = offset;
    this.#seqs[slot] = seq;
    this.#befores[slot] = this.#newest[bucket] ?? NO_SLOT;
    this.#newest[bucket] = slot;
  }

  shift(): void {
    if (this.length === 0) return;
    const slot = this.#first;
    const bucket = (this.#lows[slot] ?? 0) & this.#mask;
    // The first item is the last one of its bucket.
    let at = this.#newest[bucket] ?? NO_SLOT;
    if (at === slot) this.#newest[bucket] = NO_SLOT;
    else {
      while (this.#befores[at] !== slot) at = this.#befores[at] ?? NO_SLOT;
      this.#befores[at] = NO_SLOT;
    }
    this.#first = (slot + 1) & this.#mask;
    this.length--;
    if (this.#mask >= FEWEST_SLOTS && this.length * 8 <= this.#mask) this.#resize((this.#mask + 1) / 4);
  }

  /** What was pushed with this digest, the newest first. */
  find({ low, high }: Digest): readonly Numbered[] {
    let found: Numbered[] | undefined;
    for (
      let slot = this.#newest[low & this.#mask] ?? NO_SLOT;
      slot !== NO_SLOT;
      slot = this.#befores[slot] ?? NO_SLOT
    ) {
      if (this.#lows[slot] !== low || this.#highs[slot] !== high) continue;
      found ??= [];
      found.push({ offset: this.#offsets[slot] ?? 0, seq: this.#seqs[slot] ?? 0 });
    }
    return found ?? NONE_FOUND;
  }

  /** `slots` is a power of two. */
  #resize(slots: number): void {
    const [lows, highs, offsets, seqs] = [this.#lows, this.#highs, this.#offsets, this.#seqs];
    const [first, length, mask] = [this.#first, this.length, this.#mask];
    this.#first = 0;
    this.length = 0;
    this.#mask = slots - 1;
    this.#lows = new Int32Array(slots);
    this.#highs = new Int32Array(slots);
    this.#offsets = new Float64Array(slots);
    this.#seqs = new Float64Array(slots);
    this.#befores = new Int32Array(slots);
    this.#newest = new Int32Array(slots).fill(NO_SLOT);
    for (let i = first; i < first + length; i++) {
      const slot = i & mask;
      const digest = { low: lows[slot] ?? 0, high: highs[slot] ?? 0 };
      this.push(digest, offsets[slot] ?? 0, seqs[slot] ?? 0);
    }
  }
}

/** The interval at which expired entries are removed from memory. */
export const SWEEP_MS = 5_000;

export type ExpiringCacheOptions<V> = {
  /** An entry is returned for this long, and removed from memory within `SWEEP_MS` after that. */
  readonly ttlMs: number;
} & (
  | { readonly maxEntries: number }
  /** The limit of the sum of `sizeOf`. */
  | { readonly maxBytes: number; readonly sizeOf: (value: V, key: string) => number }
);

/** A bounded cache that also removes expired entries that are no longer read. */
export class ExpiringCache<V extends object | string> {
  readonly #entries: LRUCache<string, V>;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: ExpiringCacheOptions<V>) {
    const [maxSize, sizeCalculation] =
      'maxEntries' in options ? [options.maxEntries, () => 1] : [options.maxBytes, options.sizeOf];
    this.#entries = new LRUCache<string, V>({
      // Not its `max`: for that many entries it allocates memory at once.
      ...{ maxSize, sizeCalculation },
      ttl: options.ttlMs,
      // By default the library keeps the time for 1 ms, with a timer for each such millisecond.
      ttlResolution: 0,
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
