import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import type { AuditReader } from '../../audit/auditReader.js';
import { type At, filterFields, PointInTime } from '../../audit/events/eventFilter.js';
import { notFound, overloaded } from '../../base/errors.js';
import type { AuditResource } from '../../domain/auditReads.js';
import type { CommandRouter } from '../../domain/commands.js';
import { Time } from '../../domain/fields.js';
import { Message, User } from '../../domain/userMessageChat.js';
import { parseBearerToken } from '../../vault/sessionStore.js';
import type { Session } from '../../vault/vault.js';
import { UserSearchQuery } from '../administration.js';
import { type RequireSession, type RoleParts, requireRole, serveResource } from '../auth.js';
import { readId, readQuery, sendLines } from '../problems.js';
import { NoFields, pageLimit } from '../schemas.js';

export const EventQuery = z.strictObject({
  ...filterFields,
  order: z
    .enum(['asc', 'desc'], 'must be asc or desc')
    .default('asc')
    .meta({ description: '`desc`: newest first, exactly the other way round.' }),
  from: z.string().min(1).max(12_288).exactOptional().meta({ description: 'The `next` of the page before.' }),
  limit: pageLimit({ default: 50, max: 200 }),
});

export const EventStreamQuery = z.strictObject({
  ...filterFields,
  follow: z.enum(['true', 'false']).default('false').meta({ description: 'Go on with what comes.' }),
});

const Event = z
  .strictObject({
    partition: z.int(),
    offset: z.int().meta({ description: 'Its place in the partition: 0, 1, 2 …' }),
    stream: z.string(),
    version: z.int().meta({ description: 'Its place in the stream: 1, 2, 3 …' }),
    type: z.string(),
    data: z.record(z.string(), z.unknown()).meta({ description: 'Opened, or null where erased.' }),
    erased: z.literal(true).exactOptional(),
    actor: z.string(),
    recordedAt: Time,
    commandId: z.string(),
    via: z
      .string()
      .exactOptional()
      .meta({ description: 'The server key through which the host application caused it.' }),
  })
  .meta({ id: 'Event' });

export const EventAnswer = z.strictObject({ event: Event });
export const EventsAnswer = z.strictObject({
  events: z.array(Event),
  next: z.string().exactOptional().meta({ description: 'Goes into `from`; absent at the end.' }),
});

const Room = z
  .strictObject({
    roomId: z.string(),
    roomType: z.enum(['PRIVATE', 'GROUP']),
    memberIds: z.array(z.string()),
    createdAt: Time,
    name: z.string().nullable().exactOptional().meta({ description: 'Of a group; null when erased.' }),
  })
  .meta({ id: 'PastRoom' });

export const RoomThenQuery = z.strictObject({
  at: z
    .union([
      PointInTime,
      z
        .string()
        .regex(/^[1-9]\d{0,15}$/)
        .transform(Number)
        .pipe(z.int().min(1)),
    ])
    .exactOptional()
    .meta({
      description: 'A time (ISO 8601), included; or the `seq` of its last message. By default now.',
    }),
});
export const UserSearchAnswer = z.strictObject({
  users: z.array(User),
  next: z.string().exactOptional().meta({ description: 'Goes into `next`; absent at the end.' }),
});
export const UserThenQuery = z.strictObject({
  at: PointInTime.exactOptional().meta({ description: 'A time (ISO 8601), included. By default now.' }),
});

export const RoomThenAnswer = z.strictObject({
  room: Room,
  members: z.array(User),
  messages: z.array(Message),
  readUpTo: z.record(z.string(), z.int()),
});
export const UserThenAnswer = z.strictObject({
  user: User,
  friends: z.array(User),
  rooms: z.array(Room).meta({ description: 'Those that were active for them.' }),
  isOnline: z.boolean(),
  lastSeen: Time.nullable(),
});

/** Streams that one process serves at once. */
const MAX_STREAMS = 16;
/** How often a following stream checks that its reader is still signed in and still an auditor. */
const CHECK_MS = 5000;
/** The time after `until` in which late events can still arrive: clocks differ and commits may be slow. */
const LATE_MS = 2000;

/** Reads that are recorded before they are answered. */
export interface ReadParts {
  readonly commands: CommandRouter;
  readonly reader: AuditReader;
}

/** The log's events by query: a page, or all of them as JSON lines. */
export function mountAuditEvents(router: Router, { commands, reader }: ReadParts, auditors: RoleParts): void {
  const audited = requireRole(auditors, 'auditor');
  let streams = 0;

  serveResource(router, '/audit/events', {
    GET: audited(async (ctx, session) => {
      const { from, limit, order, ...filter } = readQuery(ctx, EventQuery);
      const search = { filter, order };
      // Before the read is recorded, so that the record is not on the page.
      const begun = from === undefined ? await reader.begin(filter) : reader.resume(search, from);
      await recordRead(commands, session, 'events', ctx);
      ctx.body = await reader.page(search, begun, limit);
    }),
  });

  serveResource(router, '/audit/events/:partition/:offset', {
    GET: audited(async (ctx, session) => {
      const [partition, offset] = [readNumber(ctx.params.partition), readNumber(ctx.params.offset)];
      readQuery(ctx, NoFields);
      // Before the read is recorded, so that the record is never the event that is found.
      const event = await reader.event(partition, offset);
      await recordRead(commands, session, 'events', ctx);
      ctx.body = { event };
    }),
  });

  serveResource(router, '/audit/events/stream', {
    GET: audited(async (ctx, session) => {
      const { follow, ...filter } = readQuery(ctx, EventStreamQuery);
      if (streams >= MAX_STREAMS)
        throw overloaded(`this server sends at most ${MAX_STREAMS} event streams at once: try again`);
      streams++;
      const gone = new AbortController();
      ctx.res.once('close', () => {
        if (gone.signal.aborted) return;
        gone.abort();
        streams--;
      });
      const begun = await reader.begin(filter);
      await recordRead(commands, session, 'events', ctx);
      const pages =
        follow === 'true'
          ? reader.follow(filter, begun, gone.signal, watchReader(auditors, session, ctx, filter.until))
          : reader.all(filter, begun);
      await sendLines(ctx, pages);
    }),
  });
}

/** Rooms and users as they were, and finding users. */
export function mountPast(router: Router, { commands, reader }: ReadParts, audited: RequireSession): void {
  serveResource(router, '/audit/rooms/:roomId', {
    GET: audited(async (ctx, session) => {
      const roomId = readId(ctx.params.roomId);
      const { at } = readQuery(ctx, RoomThenQuery);
      await recordRead(commands, session, 'room', ctx);
      ctx.body = await reader.room(roomId, momentOf(at));
    }),
  });
  serveResource(router, '/audit/users', {
    GET: audited(async (ctx, session) => {
      const page = readQuery(ctx, UserSearchQuery);
      await recordRead(commands, session, 'user', ctx);
      ctx.body = await reader.findUsers(page);
    }),
  });
  serveResource(router, '/audit/users/:userId', {
    GET: audited(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      const { at } = readQuery(ctx, UserThenQuery);
      await recordRead(commands, session, 'user', ctx);
      ctx.body = await reader.user(userId, at);
    }),
  });
}

/** A number in the path; `not_found` for any other text. */
function readNumber(text = ''): number {
  if (!/^(0|[1-9]\d{0,14})$/.test(text)) throw notFound('the log has no event at this place');
  return Number(text);
}

/** A number is the `seq` of a message. */
function momentOf(at: Time | number | undefined): At | undefined {
  if (at === undefined) return undefined;
  return typeof at === 'number' ? { seq: at } : { time: at };
}

/** Records an auditor's read in the log before it is answered. Throws `forbidden` if the user is no auditor. */
async function recordRead(
  commands: CommandRouter,
  { userId }: Session,
  resource: AuditResource,
  ctx: RouterContext,
): Promise<void> {
  // A checked query has strings only.
  const query = { ...ctx.params, ...(ctx.query as Record<string, string>) };
  await commands.execute<'record audit read'>(
    { kind: 'record audit read', userId, resource, query },
    randomUUID(),
  );
}

/**
 * Tells a stream whether to go on: while the reader is signed in and an auditor, and more can come before `until`.
 * After `until` it is read once more, for events that are late.
 */
function watchReader(
  { sessions, hasRole }: RoleParts,
  { userId }: Session,
  ctx: RouterContext,
  until: Time | undefined,
): () => Promise<boolean> {
  const token = parseBearerToken(ctx.get('Authorization')) ?? '';
  let checked = performance.now();
  let isLast = false;
  return async () => {
    if (isLast) return false;
    isLast = until !== undefined && Date.now() > Date.parse(until) + LATE_MS;
    if (performance.now() - checked < CHECK_MS) return true;
    checked = performance.now();
    return (await sessions.find(token, new Date())) !== undefined && (await hasRole(userId, 'auditor'));
  };
}
