import { ParleyError } from '../errors.js';
import type { TokenBucket } from '../limits.js';
import { Window } from './window.js';

const SPAN_MS = 10_000;
const BAD_FRAMES = 100;
const REFUSALS = 1000;

/** What one connection may ask, and when it has gone too far. The windows are made for those who need them. */
export class Limits {
  readonly #bucket: TokenBucket | undefined;
  #bad: Window | undefined;
  #refused: Window | undefined;

  /** Without a bucket requests are not limited; frames that are no requests always are. */
  constructor(bucket: TokenBucket | undefined) {
    this.#bucket = bucket;
  }

  /** Why the request is not begun: `rate_limited`. */
  request(now: number): ParleyError | undefined {
    const retryAfterMs = this.#bucket?.take(now) ?? 0;
    if (retryAfterMs === 0) return undefined;
    return new ParleyError('rate_limited', 'too many requests on this connection', { retryAfterMs });
  }

  /** A request was refused; true if that is abuse: 1,000 within 10 s. */
  refused(now: number): boolean {
    this.#refused ??= new Window(REFUSALS, SPAN_MS);
    return this.#refused.hit(now);
  }

  /** A frame was no request; true if that is abuse: 100 within 10 s. */
  badFrame(now: number): boolean {
    this.#bad ??= new Window(BAD_FRAMES, SPAN_MS);
    return this.#bad.hit(now);
  }
}
