import type { RouterContext } from '@koa/router';
import { LRUCache } from 'lru-cache';
import { monotonicNow } from '../../base/clock.js';
import { forbidden, ParleyError, unauthenticated } from '../../base/errors.js';
import { TokenBucket } from '../../base/rateLimits.js';
import type { KeyScope } from '../../domain/hostKeys.js';
import type { KeyId } from '../../domain/ids.js';
import { MOST_SERVER_KEYS, SERVER_KEY_RATE } from '../../domain/limits.js';
import type { ServerKey, ServerKeyStore } from '../../vault/serverKeys.js';
import { parseBearerToken } from '../../vault/sessionStore.js';
import type { Handler } from '../auth.js';

/** Makes a handler that only a server key with this scope reaches, and is given the key. */
export type RequireKey = (
  scope: KeyScope,
  handler: (ctx: RouterContext, key: ServerKey) => Promise<void>,
) => Handler;

/**
 * Refuses an unknown or revoked key as `unauthenticated`, one over its limit as `rate_limited`, and one without the
 * scope as `forbidden`. The limit is that of a key on this node.
 */
export function requireKey(keys: Pick<ServerKeyStore, 'find'>, now: () => number = monotonicNow): RequireKey {
  const buckets = new LRUCache<KeyId, TokenBucket>({ max: MOST_SERVER_KEYS });
  const bucketOf = (key: KeyId): TokenBucket => {
    const bucket = buckets.get(key) ?? new TokenBucket(SERVER_KEY_RATE.rate, SERVER_KEY_RATE.burst);
    buckets.set(key, bucket);
    return bucket;
  };
  return (scope, handler) => async (ctx) => {
    const secret = parseBearerToken(ctx.get('Authorization'));
    const key = secret === undefined ? undefined : await keys.find(secret);
    if (!key) throw unauthenticated('send a valid server key as Authorization: Bearer');
    ctx.state.key = key.id;
    const retryAfterMs = bucketOf(key.id).take(now());
    if (retryAfterMs > 0) {
      ctx.state.isTooSoon = true;
      throw new ParleyError('rate_limited', 'too many requests', { retryAfterMs });
    }
    if (!key.scopes.includes(scope)) throw forbidden(`this key does not have the scope ${scope}`);
    return handler(ctx, key);
  };
}
