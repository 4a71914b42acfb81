import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import { type ErrorCode, overloaded, ParleyError, unknown } from '../errors.js';
import { isOutage } from '../outage.js';

const statusOf: Record<ErrorCode, number> = {
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  rate_limited: 429,
  overloaded: 503,
  unknown: 504,
  internal: 500,
};

/** A refusal whose status HTTP knows better than the code does: 405, 413, 415. */
export class HttpError extends ParleyError {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super('bad_request', message);
  }
}

const isSafe = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** What the client is told of `error`; undefined if that is nothing but `internal`. */
function tellable(error: unknown, method: string): ParleyError | undefined {
  if (error instanceof ParleyError) return error.code === 'internal' ? undefined : error;
  if (!isOutage(error)) return undefined;
  // A write that was not answered may have been done.
  return isSafe(method)
    ? overloaded('a store does not answer')
    : unknown('a store did not answer; it may have happened', error);
}

/** Answers with the error as RFC 9457 problem details; `extra` are members of their own. */
export function respondWith(ctx: Context, error: ParleyError, extra: Record<string, unknown> = {}): void {
  const { code, message, details } = error;
  const status = error instanceof HttpError ? error.status : statusOf[code];
  ctx.status = status;
  if (error instanceof HttpError) ctx.set({ ...error.headers });
  if (code === 'unauthenticated') ctx.set('WWW-Authenticate', 'Bearer');
  if (details.retryAfterMs !== undefined)
    ctx.set('Retry-After', String(Math.max(1, Math.ceil(details.retryAfterMs / 1000))));
  const problem = {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: message,
    code,
    ...(code === 'bad_request' ? { fields: details.fields ?? [] } : {}),
    ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(details.retryAfterMs) }),
    ...extra,
  };
  ctx.body = JSON.stringify(problem);
  ctx.type = 'application/problem+json';
}

/**
 * Turns everything thrown behind it into a problem. What is not meant for clients becomes `internal`: they get
 * an `incident` id, the log has that id and the error with its cause.
 */
export function problems(log: Logger): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const told = tellable(error, ctx.method);
      if (told) {
        if (told.code === 'unknown' || told.code === 'overloaded')
          log.warn({ err: told, method: ctx.method, path: ctx.path }, 'a request was not done');
        return respondWith(ctx, told);
      }
      const incident = randomUUID();
      log.error({ incident, err: error, method: ctx.method, path: ctx.path }, 'a request failed');
      respondWith(ctx, new ParleyError('internal', 'something is wrong on our side'), { incident });
    }
  };
}
