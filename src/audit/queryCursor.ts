import { createHash } from 'node:crypto';
import { z } from 'zod';
import { badRequest } from '../errors.js';
import type { EventFilter } from './eventFilter.js';
import type { Rest } from './query.js';

const Whole = z.int().min(0);
const Cursor = z.tuple([z.string(), z.array(z.tuple([Whole, Whole, Whole, Whole])).max(1024)]);

/** What is left of a query, as text that means nothing to whoever keeps it. */
export function encodeRest(logId: string, filter: EventFilter, rest: readonly Rest[]): string {
  const left = rest.map(({ partition, after, upTo, from }) => [partition, after, upTo, from]);
  return Buffer.from(JSON.stringify([queryId(logId, filter), left])).toString('base64url');
}

/** Throws `bad_request` for what `encodeRest` did not make of this very query. */
export function decodeRest(logId: string, filter: EventFilter, text: string): Rest[] {
  const parsed = Cursor.safeParse(parse(text));
  if (!parsed.success || parsed.data[0] !== queryId(logId, filter)) {
    const message = 'must be the next of a page of the same query';
    throw badRequest(`from ${message}`, [{ path: 'from', message }]);
  }
  return parsed.data[1].map(([partition, after, upTo, from]) => ({ partition, after, upTo, from }));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}

function queryId(logId: string, { stream, type, actor, since, until, partition }: EventFilter): string {
  const asked = JSON.stringify([logId, stream, type, actor, since, until, partition]);
  return createHash('sha256').update(asked).digest('base64url').slice(0, 8);
}
