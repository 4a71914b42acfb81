import { Readable } from 'node:stream';
import type Router from '@koa/router';
import { forbidden } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { Recorded } from '../domain/events.js';
import { parseStream, type RoomId, type StreamName, type UserId } from '../domain/ids.js';
import type { Queries } from '../projections/queries.js';
import type { SessionStore } from '../vault/vault.js';
import { authenticated, resource } from './auth.js';
import { readId, readQuery } from './problems.js';
import { NoFields } from './schemas.js';

const PAGE = 200;

export interface ExportParts {
  readonly sessions: SessionStore;
  readonly queries: Pick<Queries, 'users' | 'friends' | 'chat' | 'activeFor' | 'changedStreams' | 'messages'>;
  /** How far the log is, by partition. */
  readonly present: () => Promise<Moment[]>;
  /** The events of a user's stream, in their order, from at least what is in the log now. */
  readonly historyOf: (userId: UserId) => AsyncIterable<Recorded>;
  readonly now: () => Date;
}

/** All that is kept of a user, for themselves: a line of JSON each, read as fast as they read. */
export function serveExport(router: Router, parts: ExportParts): void {
  resource(router, '/user/:userId/export', {
    GET: authenticated(
      parts.sessions,
      parts.now,
    )(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      readQuery(ctx, NoFields);
      if (userId !== session.userId) throw forbidden('only the user themselves may do this');
      const lines = linesOf(userId, parts);
      // The first line before the head of the answer: an outage is then told as one.
      const first = await lines.next();
      ctx.type = 'application/x-ndjson';
      ctx.attachment(`parley-${userId}.ndjson`);
      ctx.body = Readable.from(ctx.method === 'HEAD' ? [] : joined(first, lines), { objectMode: false });
    }),
  });
}

async function* joined(
  first: IteratorResult<object, void>,
  rest: AsyncIterable<object>,
): AsyncGenerator<string> {
  if (first.done) return;
  yield `${JSON.stringify(first.value)}\n`;
  for await (const line of rest) yield `${JSON.stringify(line)}\n`;
}

/** Profile, friends, sessions, rooms with their messages, presence: each line says what it is in `kind`. */
async function* linesOf(userId: UserId, parts: ExportParts): AsyncGenerator<object, void> {
  const { sessions, queries } = parts;
  const now = await parts.present();
  yield { kind: 'profile', user: (await queries.users([userId], now)).get(userId) };
  for (const friend of await queries.friends(userId, now)) yield { kind: 'friend', friend };
  for (const { createdAt, expiresAt, endedAt } of await sessions.list(userId))
    yield { kind: 'session', createdAt, expiresAt, ...(endedAt === undefined ? {} : { endedAt }) };
  for await (const roomId of roomsOf(userId, now, parts)) {
    // One that somebody else has opened and written nothing in is nothing of theirs yet.
    if (!(await queries.activeFor(roomId, now)).includes(userId)) continue;
    yield { kind: 'room', room: await queries.chat(roomId, userId, now) };
    yield* messagesOf(roomId, now, parts);
  }
  for await (const { type, data, recordedAt } of parts.historyOf(userId)) {
    if (type === 'UserWentOnline') yield { kind: 'presence', isOnline: true, at: recordedAt };
    if (type === 'UserWentOffline')
      yield { kind: 'presence', isOnline: false, at: recordedAt, lastSeen: data.lastSeen };
  }
}

async function* roomsOf(
  userId: UserId,
  at: readonly Moment[],
  { queries }: Pick<ExportParts, 'queries'>,
): AsyncGenerator<RoomId> {
  for (const moment of at)
    for (let after: string | undefined; ; ) {
      const page = { limit: PAGE, ...(after === undefined ? {} : { after }) };
      const streams = await queries.changedStreams(userId, moment.partition, -1, page, [moment]);
      for (const { key } of streams) {
        // A replay's keys are stream names.
        const { kind, id } = parseStream(key as StreamName);
        if (kind === 'room') yield id;
      }
      after = streams.at(-1)?.key;
      if (streams.length < PAGE) break;
    }
}

async function* messagesOf(
  roomId: RoomId,
  at: readonly Moment[],
  { queries }: Pick<ExportParts, 'queries'>,
): AsyncGenerator<object> {
  for (let after = 0; ; ) {
    const { messages, hasMore } = await queries.messages(roomId, { after, limit: PAGE }, at);
    for (const message of messages) yield { kind: 'message', message };
    after = messages.at(-1)?.seq ?? after;
    if (!hasMore) return;
  }
}
