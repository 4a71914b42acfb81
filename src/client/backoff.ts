/** How long to wait between tries, in milliseconds. */
export interface Backoff {
  /** The most that the first wait may be. */
  readonly baseMs: number;
  /** The most that any wait may be. */
  readonly capMs: number;
}

/**
 * The wait before the next try, after `failures` failed ones: exponential with full jitter, that is
 * evenly spread over 0 to `min(cap, base · 2^failures)`, so that the clients of a server that comes
 * back do not come in step. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * @param random 0 inclusive to 1 exclusive
 */
export function backoffDelay(failures: number, random: number, { baseMs, capMs }: Backoff): number {
  return random * Math.min(capMs, baseMs * 2 ** failures);
}
