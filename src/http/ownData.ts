import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { overloaded, unauthenticated } from '../base/errors.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import type { Recorded } from '../domain/events.js';
import { isGroupId, parseStream, type RoomId, type StreamName, type UserId } from '../domain/ids.js';
import type { Message, User } from '../domain/userMessageChat.js';
import { PROFILE_FIELDS, ProfileChange } from '../domain/users.js';
import type { Revisions } from '../gateway/cursor.js';
import { type GroupView, type Queries, viewOf } from '../projections/queries.js';
import type { Report, Reports } from '../projections/reportQueries.js';
import type { SessionStore } from '../vault/vault.js';
import { type RequireSession, requireSelf, serveResource } from './auth.js';
import { readBody, readQuery, sendLines } from './problems.js';
import { NoFields } from './schemas.js';

export interface ProfileParts {
  readonly commands: CommandRouter;
  readonly queries: Pick<Queries, 'self'>;
  readonly revisions: Pick<Revisions, 'revision'>;
}

/** The change without what is so already, so that a repeat records nothing. */
export function selectChanges(user: User, change: ProfileChange): ProfileChange {
  const isNews = (field: (typeof PROFILE_FIELDS)[number]) =>
    change[field] !== undefined && change[field] !== (user[field] ?? null);
  return Object.fromEntries(PROFILE_FIELDS.filter(isNews).map((field) => [field, change[field]]));
}

/** Changing one's own profile. */
export function mountProfile(
  router: Router,
  { commands, queries, revisions }: ProfileParts,
  signedIn: RequireSession,
): void {
  serveResource(router, '/user/me', {
    PATCH: signedIn(async (ctx, { userId }) => {
      readQuery(ctx, NoFields);
      const change = await readBody(ctx, ProfileChange);
      const known = await queries.self(userId, []);
      if (!known) throw overloaded('the read models are behind the log: try again');
      if (known.erased) throw unauthenticated('this account was deleted');
      const command = { kind: 'change profile', userId, ...selectChanges(known, change) } as const;
      const { moment } = await commands.execute<'change profile'>(command, randomUUID());
      ctx.body = { user: await queries.self(userId, [moment]), revision: revisions.revision(moment) };
    }),
  });
}

/** Rooms and messages of one query. */
const PAGE_ROWS = 200;

export interface ExportParts {
  readonly sessions: SessionStore;
  readonly queries: Queries;
  readonly reports: Pick<Reports, 'of'>;
  readonly revisions: Pick<Revisions, 'present'>;
  /** The events of a user's stream in order, their texts opened, at least those in the log now. */
  readonly historyOf: (userId: UserId) => AsyncIterable<Recorded>;
}

/** Everything that is kept of a user, for themselves: JSON lines, read as fast as the client reads. */
export function mountExport(router: Router, parts: ExportParts, signedIn: RequireSession): void {
  serveResource(router, '/user/:userId/export', {
    GET: signedIn(async (ctx, session) => {
      const userId = requireSelf(ctx, session, 'you can only export your own data');
      readQuery(ctx, NoFields);
      ctx.attachment(`parley-${userId}.ndjson`);
      await sendLines(ctx, exportPages(userId, parts));
    }),
  });
}

async function* exportPages(userId: UserId, parts: ExportParts): AsyncGenerator<readonly object[]> {
  for await (const line of exportLines(userId, parts)) yield [line];
}

/**
 * Profile, preferences, friends, blocked users, sessions, rooms with their messages, reports, presence, suspensions,
 * changes of the profile; `kind` names each.
 */
async function* exportLines(userId: UserId, parts: ExportParts): AsyncGenerator<object, void> {
  const { sessions, queries } = parts;
  const now = await parts.revisions.present();
  yield { kind: 'profile', user: await queries.self(userId, now) };
  yield { kind: 'preferences', preferences: await queries.preferences(userId, now) };
  for await (const { friends } of pagesOf((page) => queries.friends(userId, page, now)))
    for (const friend of friends) yield { kind: 'friend', friend };
  for await (const { users } of pagesOf((page) => queries.blocked(userId, page, now)))
    for (const user of users) yield { kind: 'blocked', user };
  for (const { createdAt, expiresAt, endedAt } of await sessions.list(userId))
    yield { kind: 'session', createdAt, expiresAt, ...(endedAt === undefined ? {} : { endedAt }) };
  for await (const roomId of roomsOf(userId, now, queries)) {
    // A room that the other member opened belongs to this user only from its first message on.
    const view = await viewIn(roomId, userId, now, queries);
    if (!view && !(await queries.activeFor(roomId, now)).includes(userId)) continue;
    yield { kind: 'room', room: await queries.chat(roomId, userId, now) };
    yield* messagesOf(roomId, now, queries, view);
  }
  for await (const page of parts.reports.of(userId, now)) for (const report of page) yield ownReport(report);
  for await (const { type, data, recordedAt } of parts.historyOf(userId)) {
    if (type === 'UserWentOnline') yield { kind: 'presence', isOnline: true, at: recordedAt };
    if (type === 'UserWentOffline')
      yield { kind: 'presence', isOnline: false, at: recordedAt, lastSeen: data.lastSeen };
    if (type === 'UserSuspended' || type === 'UserRestored')
      yield { kind: 'suspension', at: recordedAt, suspended: type === 'UserSuspended', reason: data.reason };
    if (type === 'IdentityLinked') yield { kind: 'identity', at: recordedAt, subject: data.subject };
    if (type === 'ProfileChanged') {
      const { userId: _, ...change } = data;
      yield { kind: 'profile change', at: recordedAt, change };
    }
  }
}

/** The pages of a query, one after the other. */
async function* pagesOf<P extends { readonly next?: string }>(
  query: (page: { readonly limit: number; readonly next?: string }) => Promise<P>,
): AsyncGenerator<P> {
  for (let next: string | undefined, more = true; more; more = next !== undefined) {
    const page = await query({ limit: PAGE_ROWS, ...(next === undefined ? {} : { next }) });
    yield page;
    next = page.next;
  }
}

/** What a reporter wrote, and whether it was decided; not what moderators wrote. */
function ownReport({ reporter: _, evidence: __, seqs: ___, decided, ...report }: Report): object {
  return { kind: 'report', ...report, ...(decided ? { decidedAt: decided.at } : {}) };
}

async function* roomsOf(userId: UserId, at: readonly Moment[], queries: Queries): AsyncGenerator<RoomId> {
  for (const moment of at)
    for (let after: string | undefined; ; ) {
      const page = { limit: PAGE_ROWS, ...(after === undefined ? {} : { after }) };
      const streams = await queries.changedStreams(userId, moment.partition, -1, page, [moment]);
      for (const { key } of streams) {
        // The keys of changed streams are stream names.
        const { kind, id } = parseStream(key as StreamName);
        if (kind === 'room') yield id;
      }
      after = streams.at(-1)?.key;
      if (streams.length < PAGE_ROWS) break;
    }
}

/** What the user sees of a group; undefined of a private room. */
async function viewIn(
  roomId: RoomId,
  userId: UserId,
  at: readonly Moment[],
  { groups }: Queries,
): Promise<GroupView | undefined> {
  if (!isGroupId(roomId)) return undefined;
  return viewOf((await groups.membership(roomId, userId, at)) ?? { isMember: false, periods: [] });
}

const place = ({ roomId, messageId, seq }: Message) => ({ roomId, messageId, seq });

/** The messages of a room, each with its earlier texts. */
async function* messagesOf(
  roomId: RoomId,
  at: readonly Moment[],
  queries: Queries,
  view: GroupView | undefined,
): AsyncGenerator<object> {
  for (let after = 0; ; ) {
    const { messages, hasMore } = await queries.messages(roomId, { after, limit: PAGE_ROWS }, at, view);
    for (const message of messages) {
      yield { kind: 'message', message };
      if (message.rev === undefined) continue;
      for (const { rev, message: text, at: when } of await queries.edits(roomId, message.seq, at))
        if (rev < message.rev) yield { kind: 'edit', ...place(message), rev, message: text, at: when };
    }
    after = messages.at(-1)?.seq ?? after;
    if (!hasMore) return;
  }
}
