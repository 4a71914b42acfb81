import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { ParleyError, unauthenticated } from '../base/errors.js';
import type { AddressLimit } from '../base/rateLimits.js';
import { parseBearerToken } from '../vault/sessions.js';
import type { Session, SessionStore } from '../vault/vault.js';
import { HttpError } from './problems.js';

export type Handler = (ctx: RouterContext) => Promise<void> | void;

/** The methods of one path. */
export type Methods = Partial<Record<'GET' | 'POST' | 'PUT' | 'DELETE', Handler>>;

/**
 * Serves a path: `HEAD` comes with `GET`, `OPTIONS` names the methods, any other is 405 with `Allow`. A path
 * belongs to the first resource that matches it, so that literal ones are to be given before those with parameters.
 */
export function resource(router: Router, path: string, methods: Methods): void {
  const allow = [...Object.keys(methods), ...(methods.GET ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ');
  const serve = (method: string): Handler | undefined =>
    methods[(method === 'HEAD' ? 'GET' : method) as keyof Methods]; // Any other key is undefined in it.
  router.all(path, async (ctx) => {
    const handler = serve(ctx.method);
    if (handler) return handler(ctx);
    if (ctx.method !== 'OPTIONS')
      throw new HttpError(405, `${ctx.method} is not for this path`, { Allow: allow });
    ctx.set('Allow', allow);
    ctx.status = 204;
  });
}

/**
 * The address a request counts against: the peer's, or behind `trustedProxies` proxies the one that the
 * outermost of them saw, the n-th of `X-Forwarded-For` from the right; what stands left of it anyone can write.
 * Of an IPv6 address only the /64 counts: that much belongs to one subscriber.
 */
export function addressOf(request: IncomingMessage, trustedProxies: number): string {
  const peer = request.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return network(peer);
  // Several such headers arrive joined by commas.
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim());
  const claimed = forwarded.at(-trustedProxies) ?? forwarded[0] ?? '';
  return network(isIP(claimed) ? claimed : peer);
}

function network(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(Math.max(0, missing)).fill('0'), ...groups(tail)];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/** Makes handlers that run only with a session, and are given it; else `unauthenticated`. */
export function authenticated(sessions: SessionStore, now: () => Date) {
  return (handler: (ctx: RouterContext, session: Session) => Promise<void>): Handler =>
    async (ctx) => {
      const token = parseBearerToken(ctx.get('Authorization'));
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
