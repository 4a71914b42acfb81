import type { RouterContext } from '@koa/router';
import { LRUCache } from 'lru-cache';
import { bearerToken } from '../bearer.js';
import { ParleyError, unauthenticated } from '../errors.js';
import { TokenBucket } from '../limits.js';
import type { Session, SessionStore } from '../vault/vault.js';
import { addressOf } from './address.js';
import type { Handler } from './resource.js';

/** Makes handlers that run only with a session, and are given it; else `unauthenticated`. */
export function authenticated(sessions: SessionStore, now: () => Date) {
  return (handler: (ctx: RouterContext, session: Session) => Promise<void>): Handler =>
    async (ctx) => {
      const token = bearerToken(ctx.get('Authorization'));
      const session = token === undefined ? undefined : await sessions.find(token, now());
      if (!session) throw unauthenticated('sign in and send the token as Authorization: Bearer');
      return handler(ctx, session);
    };
}

/** Per minute; `off` for benchmarks. */
export type RateLimit = { readonly rate: number; readonly burst: number } | 'off';

// Beyond that the address that tried longest ago begins anew.
const maxAddresses = 20_000;

/** Makes handlers that a client's address may reach only so often; else `rate_limited`, before a body is read. */
export function limitedByAddress(limit: RateLimit, trustedProxies: number, now: () => Date) {
  if (limit === 'off') return (handler: Handler): Handler => handler;
  const buckets = new LRUCache<string, TokenBucket>({ max: maxAddresses });
  return (handler: Handler): Handler =>
    (ctx) => {
      const address = addressOf(ctx.req, trustedProxies);
      const bucket = buckets.get(address) ?? new TokenBucket(limit.rate / 60, limit.burst);
      buckets.set(address, bucket);
      const retryAfterMs = bucket.take(now().getTime());
      if (retryAfterMs > 0)
        throw new ParleyError('rate_limited', 'too many sign-ups and sign-ins', { retryAfterMs });
      return handler(ctx);
    };
}
