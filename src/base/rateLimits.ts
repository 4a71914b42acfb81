import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { monotonicNow } from './clock.js';
import { overloaded, ParleyError } from './errors.js';

/** One token, in thousandths. */
const TOKEN = 1000;
/**
 * The bucket lets a request pass that lacks less than this, in thousandths of a token. Fractions of a millisecond do not
 * add up exactly, and a client that waits as long as it was told must be served.
 */
const ROUNDING = TOKEN / 1e6;

/** Allows `burst` at once and `ratePerSecond` in the long run. Pure: the caller passes the time. */
export class TokenBucket {
  readonly #ratePerSecond: number;
  readonly #burst: number;
  /** In thousandths of a token: whole numbers, which add up exactly, for whole milliseconds. */
  #thousandths: number;
  #at = Number.NEGATIVE_INFINITY;

  constructor(ratePerSecond: number, burst: number) {
    this.#ratePerSecond = ratePerSecond;
    this.#burst = burst * TOKEN;
    this.#thousandths = this.#burst;
  }

  /** Takes a token and returns 0, or takes none and returns the whole milliseconds until there is one. */
  take(nowMs: number): number {
    // A clock that was set back must not refill the same time twice.
    const elapsed = Math.max(0, nowMs - this.#at);
    this.#at = nowMs;
    this.#thousandths = Math.min(this.#burst, this.#thousandths + elapsed * this.#ratePerSecond);
    const missing = TOKEN - this.#thousandths;
    if (missing > ROUNDING) return Math.ceil(missing / this.#ratePerSecond);
    this.#thousandths -= TOKEN;
    return 0;
  }
}

/**
 * Detects `limit` hits within `spanMs`. Create it at the first hit, so that clients without one cost no
 * memory.
 */
export class SlidingWindow {
  readonly #times: Float64Array;
  readonly #spanMs: number;
  #next = 0;

  constructor(limit: number, spanMs: number) {
    this.#times = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
    this.#spanMs = spanMs;
  }

  /** Counts a hit at `now` (ms). Returns true if it is at least the `limit`th within the span. */
  hit(now: number): boolean {
    this.#times[this.#next] = now;
    this.#next = (this.#next + 1) % this.#times.length;
    return now - (this.#times[this.#next] ?? 0) <= this.#spanMs;
  }
}

export const ABUSE_SPAN_MS = 10_000;
export const MAX_BAD_FRAMES = 100;
export const MAX_REFUSALS = 1000;

/** Takes a request's token. Returns `rate_limited` if the request must not start, else undefined. */
export function checkRequest(bucket: TokenBucket, now: number): ParleyError | undefined {
  const retryAfterMs = bucket.take(now);
  if (retryAfterMs === 0) return undefined;
  return new ParleyError('rate_limited', 'too many requests', { retryAfterMs });
}

/** Detects abuse by one connection. Create it at the first refusal or bad frame, as its windows are. */
export class AbuseWatch {
  #bad: SlidingWindow | undefined;
  #refused: SlidingWindow | undefined;

  /** Counts a refused request. Returns true on abuse: 1,000 within 10 s. */
  countRefusal(now: number): boolean {
    this.#refused ??= new SlidingWindow(MAX_REFUSALS, ABUSE_SPAN_MS);
    return this.#refused.hit(now);
  }

  /** Counts a frame that is not a request. Returns true on abuse: 100 within 10 s. */
  countBadFrame(now: number): boolean {
    this.#bad ??= new SlidingWindow(MAX_BAD_FRAMES, ABUSE_SPAN_MS);
    return this.#bad.hit(now);
  }
}

/** Identified connections of one user on one node. */
export const MAX_USER_CONNECTIONS = 100;
/** Users whose bucket is kept when they are not connected. The least recently connected start anew. */
const MAX_KEPT_BUCKETS = 20_000;

/** The limits that hold for all connections and REST requests of a user on this node together. */
export class UserLimits {
  readonly #allowance: Allowance;
  readonly #kept = new LRUCache<string, TokenBucket>({ max: MAX_KEPT_BUCKETS });

  /** Requests a second, and at once. */
  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** The bucket of a user: who comes back soon gets the one that they left. */
  bucketOf(user: string): TokenBucket {
    return this.#kept.get(user) ?? new TokenBucket(this.#allowance.rate, this.#allowance.burst);
  }

  /** Keeps the bucket of a user who is not connected. */
  keep(user: string, bucket: TokenBucket): void {
    this.#kept.set(user, bucket);
  }
}

/** Attempts that an address or a user may make: `burst` at once, and `rate` per minute in the long run. */
export interface Allowance {
  readonly rate: number;
  readonly burst: number;
}

/** Limits the attempts of each address and each user, across all nodes. */
export interface AttemptLimit {
  /**
   * Takes an attempt of the address or user and resolves with 0, or takes none and resolves with the milliseconds
   * until the next one. Rejects if the store is unavailable: the caller must then refuse.
   */
  take(key: string): Promise<number>;
}

/** The number of keys remembered. Beyond it, the least recently used key starts anew. */
export const MAX_ATTEMPT_KEYS = 20_000;

/** Creates the limit of a single process. `now` returns milliseconds. */
export function createMemoryAttemptLimit({ rate, burst }: Allowance, now: () => number): AttemptLimit {
  const buckets = new LRUCache<string, TokenBucket>({ max: MAX_ATTEMPT_KEYS });
  return {
    async take(key) {
      const bucket = buckets.get(key) ?? new TokenBucket(rate / 60, burst);
      buckets.set(key, bucket);
      return bucket.take(now());
    },
  };
}

/** Checks of passwords that may be under way at once for one address. */
const MAX_CHECKS_OF_ADDRESS = 4;

/** The checks of passwords under way: one a user, four an address. So nobody fills the queue of hashings for others. */
export class PasswordPlaces {
  readonly #users = new Set<string>();
  readonly #addresses = new Map<string, number>();

  /** Takes a place for both, and returns the function that gives it back; undefined: none is free. */
  take(user: string, address: string): (() => void) | undefined {
    const taken = this.#addresses.get(address) ?? 0;
    if (this.#users.has(user) || taken >= MAX_CHECKS_OF_ADDRESS) return undefined;
    this.#users.add(user);
    this.#addresses.set(address, taken + 1);
    return () => {
      this.#users.delete(user);
      const left = (this.#addresses.get(address) ?? 0) - 1;
      if (left > 0) this.#addresses.set(address, left);
      else this.#addresses.delete(address);
    };
  }
}

/** Limits of one queue: waiting commands, and their bytes. */
export const ADMISSION_LIMITS = { commands: 8192, bytes: 16 * 1024 * 1024 } as const;

/** The first `limit` items when each owner takes one in turn. Those of one owner keep their order. */
export function takeInTurn<T>(items: readonly T[], ownerOf: (item: T) => string, limit: number): T[] {
  const queues = new Map<string, T[]>();
  for (const item of items) {
    const owner = ownerOf(item);
    const queue = queues.get(owner);
    if (queue) queue.push(item);
    else queues.set(owner, [item]);
  }
  const taken: T[] = [];
  for (let turn = 0; taken.length < limit && taken.length < items.length; turn++)
    for (const queue of queues.values()) {
      const item = queue[turn];
      if (item !== undefined && taken.length < limit) taken.push(item);
    }
  return taken;
}

/** Counts the commands in progress and refuses new ones above `ADMISSION_LIMITS`. */
export class AdmissionQueue {
  #commands = 0;
  #bytes = 0;

  get length(): number {
    return this.#commands;
  }

  /** Counts one more command, or returns `overloaded` if it does not fit now. */
  enter(bytes: number): ParleyError | undefined {
    if (this.#commands >= ADMISSION_LIMITS.commands || this.#bytes + bytes > ADMISSION_LIMITS.bytes)
      return overloaded('too many commands are waiting on this node');
    this.#commands++;
    this.#bytes += bytes;
    return undefined;
  }

  leave(bytes: number): void {
    this.#commands--;
    this.#bytes -= bytes;
  }
}

/** Lines of one text: 60 at once, and one a second. That is at most 40 MB a day for each text. */
const LINE_LIMIT = { ratePerSecond: 1, burst: 60 };
/** Lines of one text about a service that is away, which each request would repeat: one in 10 s. */
export const OUTAGE_LINE_LIMIT = { ratePerSecond: 0.1, burst: 1 };

/**
 * Writes lines that strangers can cause, so few that they cannot fill the disk. The next line of the same text tells how
 * many were omitted.
 */
export class BoundedLog {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #limit: typeof LINE_LIMIT;
  readonly #texts = new Map<string, { readonly bucket: TokenBucket; omitted: number }>();

  /** `now`: monotonic milliseconds. */
  constructor(logger: Logger, now: () => number = monotonicNow, limit = LINE_LIMIT) {
    this.#logger = logger;
    this.#now = now;
    this.#limit = limit;
  }

  /** `text` is one of a few: nothing of a request. */
  write(level: 'info' | 'warn' | 'error', text: string, facts: Readonly<Record<string, unknown>>): void {
    if (!this.#logger.isLevelEnabled(level)) return;
    let lines = this.#texts.get(text);
    if (!lines) {
      lines = { bucket: new TokenBucket(this.#limit.ratePerSecond, this.#limit.burst), omitted: 0 };
      this.#texts.set(text, lines);
    }
    if (lines.bucket.take(this.#now()) > 0) {
      lines.omitted++;
      return;
    }
    const { omitted } = lines;
    lines.omitted = 0;
    this.#logger[level](omitted > 0 ? { ...facts, omitted } : facts, text);
  }
}
