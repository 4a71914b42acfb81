import type { Context } from 'koa';
import getRawBody from 'raw-body';
import type { z } from 'zod';
import { badRequest, notFound } from '../errors.js';
import { Id, validate } from '../events/schemas.js';
import { HttpError } from './errors.js';

const maxBody = 64 * 1024;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The request's JSON body, checked. Throws `bad_request`; with status 413 if too large, 415 if it is not JSON. */
export async function readBody<S extends z.ZodType>(ctx: Context, schema: S): Promise<z.infer<S>> {
  if (!hasBody(ctx)) throw badRequest('a JSON body is needed');
  return validate(schema, await readJson(ctx));
}

/** For requests without fields: no body, or an empty object. Throws like `readBody`. */
export async function readNoBody(ctx: Context, empty: z.ZodType): Promise<void> {
  if (hasBody(ctx)) validate(empty, await readJson(ctx));
}

/** The query parameters, checked; one that is given twice is none of the schema's strings. Throws `bad_request`. */
export function readQuery<S extends z.ZodType>(ctx: Context, schema: S): z.infer<S> {
  return validate(schema, { ...ctx.query });
}

/** An id from the path, in lower case; what is no id names nothing: `not_found`. */
export function readId(text: string | undefined): string {
  const parsed = Id.safeParse(text);
  if (!parsed.success) throw notFound('there is no such thing');
  return parsed.data;
}

const hasBody = (ctx: Context): boolean =>
  ctx.get('Transfer-Encoding') !== '' || !['', '0'].includes(ctx.get('Content-Length'));

async function readJson(ctx: Context): Promise<unknown> {
  const charset = ctx.request.charset.toLowerCase();
  if (!ctx.is('application/json') || !['', 'utf-8'].includes(charset))
    throw new HttpError(415, 'the body must be application/json in UTF-8', { Accept: 'application/json' });
  if (!['', 'identity'].includes(ctx.get('Content-Encoding').toLowerCase()))
    throw new HttpError(415, 'the body must not be compressed', { 'Accept-Encoding': 'identity' });
  const body = await read(ctx);
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    // The parser's message quotes the body, which may hold a password.
    throw badRequest('the body is not JSON in UTF-8');
  }
}

async function read(ctx: Context): Promise<Buffer> {
  try {
    return await getRawBody(ctx.req, { limit: maxBody, length: ctx.get('Content-Length') || null });
  } catch (error) {
    const { type } = error as getRawBody.RawBodyError; // raw-body rejects with nothing else
    if (type === 'entity.too.large') throw new HttpError(413, 'the body is larger than 64 KiB');
    throw badRequest('the body did not arrive whole');
  }
}
