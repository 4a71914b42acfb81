import { LRUCache } from 'lru-cache';
import { ParleyError } from './errors.js';

/** Allows `burst` at once and `ratePerSecond` in the long run. The caller brings the time: pure otherwise. */
export class TokenBucket {
  readonly #ratePerSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at = Number.NEGATIVE_INFINITY;

  constructor(ratePerSecond: number, burst: number) {
    this.#ratePerSecond = ratePerSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes a token and answers 0; or answers in how many whole milliseconds there will be one, and takes none. */
  take(nowMs: number): number {
    // A clock that was set back refills nothing for the time it repeats.
    const elapsed = Math.max(0, nowMs - this.#at);
    this.#at = nowMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed * this.#ratePerSecond) / 1000);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#tokens) * 1000) / this.#ratePerSecond);
  }
}

/** Tells when `limit` hits fall within `spanMs`; made when the first one is seen, so that others pay nothing. */
export class SlidingWindow {
  readonly #times: Float64Array;
  readonly #spanMs: number;
  #next = 0;

  constructor(limit: number, spanMs: number) {
    this.#times = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
    this.#spanMs = spanMs;
  }

  /** Counts a hit at `now` (ms); true when it is the last of `limit` within the span. */
  hit(now: number): boolean {
    this.#times[this.#next] = now;
    this.#next = (this.#next + 1) % this.#times.length;
    return now - (this.#times[this.#next] ?? 0) <= this.#spanMs;
  }
}

const ABUSE_SPAN_MS = 10_000;
const MAX_BAD_FRAMES = 100;
const MAX_REFUSALS = 1000;

/** What one connection may ask, and when it has gone too far. The windows are made for those who need them. */
export class ConnectionLimits {
  readonly #bucket: TokenBucket | undefined;
  #bad: SlidingWindow | undefined;
  #refused: SlidingWindow | undefined;

  /** Without a bucket requests are not limited; frames that are no requests always are. */
  constructor(bucket: TokenBucket | undefined) {
    this.#bucket = bucket;
  }

  /** Why the request is not begun: `rate_limited`. */
  checkRequest(now: number): ParleyError | undefined {
    const retryAfterMs = this.#bucket?.take(now) ?? 0;
    if (retryAfterMs === 0) return undefined;
    return new ParleyError('rate_limited', 'too many requests on this connection', { retryAfterMs });
  }

  /** A request was refused; true if that is abuse: 1,000 within 10 s. */
  countRefusal(now: number): boolean {
    this.#refused ??= new SlidingWindow(MAX_REFUSALS, ABUSE_SPAN_MS);
    return this.#refused.hit(now);
  }

  /** A frame was no request; true if that is abuse: 100 within 10 s. */
  countBadFrame(now: number): boolean {
    this.#bad ??= new SlidingWindow(MAX_BAD_FRAMES, ABUSE_SPAN_MS);
    return this.#bad.hit(now);
  }
}

/** How often an address may: so many at once, and so many a minute in the long run. */
export interface Allowance {
  readonly rate: number;
  readonly burst: number;
}

/** Holds each address to an allowance, whichever node it comes to. */
export interface AddressLimit {
  /**
   * Takes one for this address and resolves with 0; or with in how many milliseconds there will be one, and takes none.
   * Rejects when that cannot be told: then nobody may pass.
   */
  take(address: string): Promise<number>;
}

/** So many addresses are remembered; beyond that, the one that was here longest ago begins anew. */
export const MAX_ADDRESSES = 20_000;

/** The limit of a single process. `now` in milliseconds. */
export function memoryAddressLimit({ rate, burst }: Allowance, now: () => number): AddressLimit {
  const buckets = new LRUCache<string, TokenBucket>({ max: MAX_ADDRESSES });
  return {
    async take(address) {
      const bucket = buckets.get(address) ?? new TokenBucket(rate / 60, burst);
      buckets.set(address, bucket);
      return bucket.take(now());
    },
  };
}
