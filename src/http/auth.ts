import type { RouterContext } from '@koa/router';
import { bearerToken } from '../bearer.js';
import type { AddressLimit } from '../cluster/addressLimit.js';
import { ParleyError, unauthenticated } from '../errors.js';
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

/**
 * Makes handlers that a client's address may reach only so often; else `rate_limited`, before a body is read. When the
 * limit cannot be looked up nobody passes: `overloaded`. Without a limit everybody does, as benchmarks need.
 */
export function limitedByAddress(limit: AddressLimit | undefined, trustedProxies: number) {
  if (!limit) return (handler: Handler): Handler => handler;
  return (handler: Handler): Handler =>
    async (ctx) => {
      const retryAfterMs = await limit.take(addressOf(ctx.req, trustedProxies)).catch((cause: unknown) => {
        // Nothing has been done yet, so that this is not `unknown`.
        throw new ParleyError('overloaded', 'a store does not answer', { retryAfterMs: 1000 }, { cause });
      });
      if (retryAfterMs > 0)
        throw new ParleyError('rate_limited', 'too many sign-ups and sign-ins', { retryAfterMs });
      return handler(ctx);
    };
}
