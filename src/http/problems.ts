import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import type { RouterContext } from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import getRawBody from 'raw-body';
import type { z } from 'zod';
import { type Clock, systemClock } from '../base/clock.js';
import {
  badRequest,
  type ErrorCode,
  isOutage,
  notFound,
  outcomeUnknown,
  overloaded,
  ParleyError,
  writeBounded,
} from '../base/errors.js';
import { BoundedLog } from '../base/rateLimits.js';
import { validate } from '../domain/contract.js';
import { Id } from '../domain/fields.js';
import { MAX_BODY_BYTES } from '../domain/limits.js';
import { NoFields } from './schemas.js';

/** The header of an answer that names its lines in the log. */
export const REQUEST_ID = 'X-Request-Id';

const STATUS: Record<ErrorCode, number> = {
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

/** A `bad_request` with a status of its own: 405, 413, 415. */
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

/** The detail of a problem that passes when the database is back. */
export const STORE_DOWN = 'a database does not answer: try again';

/** The error to send to the client; undefined if it is not for clients. */
function toClientError(error: unknown, method: string): ParleyError | undefined {
  if (error instanceof ParleyError) return error.code === 'internal' ? undefined : error;
  if (!isOutage(error)) return undefined;
  // A write that was not answered may have been done.
  return isSafe(method)
    ? overloaded(STORE_DOWN)
    : outcomeUnknown(
        'a database did not answer, and the change may have been made: look before you repeat it',
        error,
      );
}

/** The size of each body that was read. An error is not much larger than what caused it. */
const bodyBytes = new WeakMap<IncomingMessage, number>();

/** Answers with the error as RFC 9457 problem details; `extra` are further members. */
export function respondWith(ctx: Context, error: ParleyError, extra: Record<string, unknown> = {}): void {
  const { code, details } = error;
  const status = error instanceof HttpError ? error.status : STATUS[code];
  ctx.status = status;
  if (error instanceof HttpError) ctx.set({ ...error.headers });
  if (code === 'unauthenticated') ctx.set('WWW-Authenticate', 'Bearer');
  if (details.retryAfterMs !== undefined)
    ctx.set('Retry-After', String(Math.max(1, Math.ceil(details.retryAfterMs / 1000))));
  const causeBytes = Buffer.byteLength(ctx.originalUrl) + (bodyBytes.get(ctx.req) ?? 0);
  ctx.body = writeBounded(error, causeBytes, ({ message, fields }) =>
    JSON.stringify({
      type: 'about:blank',
      title: STATUS_CODES[status],
      status,
      detail: message,
      code,
      ...(code === 'bad_request' ? { fields } : {}),
      ...(details.reason === undefined ? {} : { reason: details.reason }),
      ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(details.retryAfterMs) }),
      ...extra,
    }),
  );
  ctx.type = 'application/problem+json';
}

/**
 * Answers every error that is thrown behind it with a problem. One that is not for clients becomes `internal`: they
 * get an `incident` id, under which the log has the error with its cause: that of the request, if it has one.
 */
export function respondToErrors(log: Logger): Middleware {
  const lines = new BoundedLog(log);
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const told = toClientError(error, ctx.method);
      const { method, path } = ctx;
      if (told) {
        if (told.code === 'unknown' || told.code === 'overloaded')
          lines.write('warn', 'a request could not be answered', {
            ...{ request: ctx.response.get(REQUEST_ID), method, path },
            err: told,
          });
        return respondWith(ctx, told);
      }
      const incident = ctx.response.get(REQUEST_ID) || randomUUID();
      lines.write('error', 'a request failed', { incident, err: error, method, path });
      respondWith(
        ctx,
        new ParleyError('internal', 'the server failed: report the incident to its operator'),
        { incident },
      );
    }
  };
}
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The request's JSON body, checked. Throws `bad_request`, with status 413 if it is too large, 415 if it is not JSON. */
export async function readBody<S extends z.ZodType>(ctx: Context, schema: S): Promise<z.infer<S>> {
  if (!hasBody(ctx)) throw badRequest('this request needs a JSON body');
  return validate(schema, await readJson(ctx));
}

/** As `readBody`; no body is an empty object. */
export async function readOptionalBody<S extends z.ZodType>(ctx: Context, schema: S): Promise<z.infer<S>> {
  return validate(schema, hasBody(ctx) ? await readJson(ctx) : {});
}

/** The fields of a form (`application/x-www-form-urlencoded`), checked; one that is given twice is refused. */
export async function readForm<S extends z.ZodType>(ctx: Context, schema: S): Promise<z.infer<S>> {
  const type = 'application/x-www-form-urlencoded';
  if (!ctx.is(type)) throw new HttpError(415, `the body must be ${type}`, { Accept: type });
  const body = await readBytes(ctx);
  bodyBytes.set(ctx.req, body.length);
  const fields: Record<string, string | string[]> = {};
  const form = new URLSearchParams(body.toString('utf8'));
  for (const name of form.keys()) {
    const values = form.getAll(name);
    fields[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return validate(schema, fields);
}

/** Accepts no body, or an empty object. Throws like `readBody`. */
export async function readNoBody(ctx: Context, empty: z.ZodType): Promise<void> {
  if (hasBody(ctx)) validate(empty, await readJson(ctx));
}

/** The query parameters, checked; one that is given twice is refused. Throws `bad_request`. */
export function readQuery<S extends z.ZodType>(ctx: Context, schema: S): z.infer<S> {
  return validate(schema, { ...ctx.query });
}

/** An id from the path, in lower case; `not_found` for any other text. */
export function readId(text: string | undefined): string {
  const parsed = Id.safeParse(text);
  if (!parsed.success) throw notFound('nothing has this id: ids are UUIDs');
  return parsed.data;
}

/** The id of this name from the path of a request without query parameters. */
export function readIdAlone(ctx: RouterContext, name: string): string {
  const id = readId(ctx.params[name]);
  readQuery(ctx, NoFields);
  return id;
}

const hasBody = (ctx: Context): boolean =>
  ctx.get('Transfer-Encoding') !== '' || !['', '0'].includes(ctx.get('Content-Length'));

async function readJson(ctx: Context): Promise<unknown> {
  const charset = ctx.request.charset.toLowerCase();
  if (!ctx.is('application/json') || !['', 'utf-8'].includes(charset))
    throw new HttpError(415, 'the body must be application/json in UTF-8', { Accept: 'application/json' });
  if (!['', 'identity'].includes(ctx.get('Content-Encoding').toLowerCase()))
    throw new HttpError(415, 'the body must not be compressed', { 'Accept-Encoding': 'identity' });
  const body = await readBytes(ctx);
  bodyBytes.set(ctx.req, body.length);
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    // The parser's message quotes the body, which may hold a password.
    throw badRequest('the body is not JSON in UTF-8');
  }
}

async function readBytes(ctx: Context): Promise<Buffer> {
  try {
    return await getRawBody(ctx.req, { limit: MAX_BODY_BYTES, length: ctx.get('Content-Length') || null });
  } catch (error) {
    const { type } = error as getRawBody.RawBodyError; // raw-body rejects with nothing else.
    if (type === 'entity.too.large') throw new HttpError(413, 'the body is larger than 64 KiB');
    throw badRequest('the body was cut off: send it again');
  }
}

/** After this time without a line, an empty one shows proxies and readers that the connection is alive. */
const SILENCE_MS = 15_000;
/** A client that reads nothing for this time is disconnected. */
const STALLED_MS = 60_000;

/**
 * Answers with JSON lines, as fast as the client reads, and with an empty line after each 15 s of silence. The first
 * page is read before the head is sent, so that an outage is answered with its status.
 */
export async function sendLines(ctx: Context, pages: AsyncGenerator<readonly object[]>): Promise<void> {
  const first = await pages.next();
  const isHead = ctx.method === 'HEAD';
  if (isHead) await pages.return(undefined);
  ctx.type = 'application/x-ndjson';
  const cutOff = (): unknown => ctx.res.destroy();
  const lines = isHead || first.done ? [] : paceLines(serialize(first.value, pages), cutOff);
  ctx.body = Readable.from(lines, { objectMode: false });
  // The first line may come much later.
  ctx.flushHeaders();
}

async function* serialize(
  first: readonly object[],
  rest: AsyncIterable<readonly object[]>,
): AsyncGenerator<string> {
  const textOf = (page: readonly object[]): string => page.map((one) => `${JSON.stringify(one)}\n`).join('');
  yield textOf(first);
  for await (const page of rest) yield textOf(page);
}

/** Yields the texts of `lines`, an empty line in each silence, and calls `cutOff` if the client takes one for too long. */
export async function* paceLines(
  lines: AsyncGenerator<string>,
  cutOff: () => unknown,
  clock: Clock = systemClock,
): AsyncGenerator<string> {
  let silentSince = clock.now();
  let wake = (): void => {};
  try {
    for (;;) {
      let isPending = true;
      const next = lines.next().finally(() => {
        isPending = false;
        wake();
      });
      // It is awaited below, which may be after it has failed.
      next.catch(() => {});
      while (isPending) {
        const left = silentSince + SILENCE_MS - clock.now();
        if (left > 0) await new Promise<void>((resolve) => (wake = withTimer(resolve, left, clock)));
        else yield* untilTaken('\n', cutOff, clock);
        if (left <= 0) silentSince = clock.now();
      }
      const { done, value } = await next;
      if (done) return;
      if (value === '') continue;
      yield* untilTaken(value, cutOff, clock);
      silentSince = clock.now();
    }
  } finally {
    await lines.return(undefined);
  }
}

/** Calls `run` after `ms`, or earlier when the returned function is called. */
function withTimer(run: () => void, ms: number, clock: Clock): () => void {
  const cancel = clock.setTimer(run, ms);
  return () => {
    cancel();
    run();
  };
}

/** Resumed when the client has taken the text; calls `cutOff` if that takes too long. */
function* untilTaken(text: string, cutOff: () => unknown, clock: Clock): Generator<string> {
  const cancel = clock.setTimer(cutOff, STALLED_MS);
  try {
    yield text;
  } finally {
    cancel();
  }
}
