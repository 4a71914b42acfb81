import { Readable } from 'node:stream';
import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { AuditReader } from '../../audit/auditReader.js';
import { overloaded } from '../../base/errors.js';
import type { Time } from '../../domain/shapes.js';
import { parseBearerToken } from '../../vault/sessions.js';
import type { Session } from '../../vault/vault.js';
import { authenticated, resource } from '../auth.js';
import { readQuery } from '../problems.js';
import { type AuditorParts, recordRead } from './auditAccess.js';
import { EventQuery, EventStreamQuery } from './auditEventSchemas.js';
import type { PastParts } from './auditLog.js';

/** Who takes nothing for so long has gone. */
const STALLED_MS = 60_000;

/**
 * Answers with a line of JSON each, read as fast as the client reads; one who does not is cut off. The first page comes
 * before the head of the answer, so that an outage is told as one.
 */
async function ndjson(ctx: RouterContext, pages: AsyncGenerator<readonly object[]>): Promise<void> {
  const first = await pages.next();
  const isHead = ctx.method === 'HEAD';
  if (isHead) await pages.return(undefined);
  ctx.type = 'application/x-ndjson';
  ctx.body = Readable.from(isHead || first.done ? [] : lines(first.value, pages, () => ctx.res.destroy()), {
    objectMode: false,
  });
  // There may be no line for long.
  ctx.flushHeaders();
}

async function* lines(
  first: readonly object[],
  rest: AsyncIterable<readonly object[]>,
  giveUp: () => void,
): AsyncGenerator<string> {
  yield* patiently(first, giveUp);
  for await (const page of rest) yield* patiently(page, giveUp);
}

function* patiently(page: readonly object[], giveUp: () => void): Generator<string> {
  if (page.length === 0) return;
  const timer = setTimeout(giveUp, STALLED_MS);
  try {
    yield page.map((one) => `${JSON.stringify(one)}\n`).join('');
  } finally {
    clearTimeout(timer);
  }
}

/** Streams that one process serves at once. */
const MOST_STREAMS = 16;
/** Whoever follows is looked at so often: whether they are still signed in, and an auditor. */
const CHECK_MS = 5000;
/** What is recorded before a time is in the log so much later at most: clocks differ, and commits take their time. */
const LATE_MS = 2000;

export interface EventParts extends AuditorParts, Pick<PastParts, 'commands'> {
  readonly auditReader: Pick<AuditReader, 'begin' | 'resume' | 'page' | 'all' | 'follow'>;
}

/** The log's events by query: a page, or all of them as lines of JSON. */
export function serveEvents(router: Router, parts: EventParts): void {
  const { sessions, now, commands, auditReader } = parts;
  const signedIn = authenticated(sessions, now);
  let streams = 0;

  resource(router, '/audit/events', {
    GET: signedIn(async (ctx, session) => {
      const { from, limit, ...filter } = readQuery(ctx, EventQuery);
      // Before it is recorded, which is therefore not on the page.
      const begun = from === undefined ? await auditReader.begin(filter) : auditReader.resume(filter, from);
      await recordRead(commands, session, 'events', ctx);
      ctx.body = await auditReader.page(filter, begun, limit);
    }),
  });

  resource(router, '/audit/events/stream', {
    GET: signedIn(async (ctx, session) => {
      const { follow, ...filter } = readQuery(ctx, EventStreamQuery);
      if (streams >= MOST_STREAMS) throw overloaded('too many streams of events are read at once');
      streams++;
      const gone = new AbortController();
      const closed = () => {
        if (gone.signal.aborted) return;
        gone.abort();
        streams--;
      };
      ctx.res.once('close', closed);
      const begun = await auditReader.begin(filter);
      await recordRead(commands, session, 'events', ctx);
      const pages =
        follow === 'true'
          ? auditReader.follow(filter, begun, gone.signal, mayGoOn(parts, session, ctx, filter.until))
          : auditReader.all(filter, begun);
      await ndjson(ctx, pages);
    }),
  });
}

/**
 * Whether the session lasts and its user still has the role, looked up now and then, and whether anything is still to
 * come: after the end that was asked for it is looked once more.
 */
function mayGoOn(
  { sessions, now, isAuditor }: AuditorParts,
  { userId }: Session,
  ctx: RouterContext,
  until: Time | undefined,
): () => Promise<boolean> {
  const token = parseBearerToken(ctx.get('Authorization')) ?? '';
  let checked = performance.now();
  let isLast = false;
  return async () => {
    if (isLast) return false;
    isLast = until !== undefined && now().getTime() > Date.parse(until) + LATE_MS;
    if (performance.now() - checked < CHECK_MS) return true;
    checked = performance.now();
    return (await sessions.find(token, now())) !== undefined && (await isAuditor(userId));
  };
}
