import type { Collection, Db, Filter } from 'mongodb';
import { isDuplicateKey } from '../base/mongo.js';
import type { UserId } from '../domain/ids.js';
import {
  MAX_ENDED_SESSIONS,
  type ServerKeyRow,
  type ServerKeyTable,
  type SessionRow,
  type SessionTable,
} from './vaultStore.js';

/** Who may ask something of this server: server keys and sessions, in the vault in MongoDB. */

export type Keyed<R> = R & { _id: string };

/** Bounds an index scan. The clocks of a node and the database never differ this much. */
const MAX_CLOCK_SKEW_MS = 3_600_000;

/** `endedOn` is the end by the database's clock. Users are shown `endedAt`. */
type SessionDocument = Keyed<Omit<SessionRow, 'id'>> & { readonly endedOn?: Date };

export async function createServerKeyTable(db: Db): Promise<ServerKeyTable> {
  const keys = db.collection<Keyed<Omit<ServerKeyRow, 'id'>>>('server_keys');
  await keys.createIndex({ hash: 1 }, { unique: true });
  const rowOf = ({ _id, ...key }: Keyed<Omit<ServerKeyRow, 'id'>>): ServerKeyRow => ({ id: _id, ...key });
  return {
    insertServerKey: ({ id, ...key }) => insertRow(keys, { _id: id, ...key }),
    async findServerKey(hash) {
      const row = await keys.findOne({ hash });
      return row ? rowOf(row) : undefined;
    },
    listServerKeys: async () => (await keys.find().sort({ createdAt: 1, _id: 1 }).toArray()).map(rowOf),
    async revokeServerKey(id, at) {
      await keys.updateOne({ _id: id, revokedAt: null }, { $set: { revokedAt: at } });
    },
  };
}

export async function createSessionTable(db: Db): Promise<SessionTable> {
  const sessions = db.collection<SessionDocument>('sessions');
  await sessions.createIndexes([
    { key: { userId: 1, createdAt: -1 } },
    { key: { endedOn: 1 }, sparse: true },
    { key: { issued: 1 } },
  ]);
  return {
    async insertSession({ id, ...session }) {
      const isNew = await insertRow(sessions, { _id: id, ...session });
      await pruneSessions(sessions, session.userId, session.createdAt);
      return isNew;
    },
    async findSession(id) {
      const row = await sessions.findOne({ _id: id });
      return row ? sessionRowOf(row) : undefined;
    },
    async endSession(id, at) {
      await sessions.updateOne({ _id: id, endedAt: null }, endAt(at));
    },
    async endSessions(userId, except, at) {
      return endAll(sessions, { userId, ...(except === null ? {} : { _id: { $ne: except } }) }, at);
    },
    endIssuedTo: (userId, upTo, at) =>
      endAll(sessions, { userId, issued: { $ne: null }, createdAt: { $lte: upTo } }, at),
    endIssuedAs: async (issued, at) => (issued === '' ? [] : endAll(sessions, { issued }, at)),
    async listRecentlyEnded(lastMs) {
      const bound = new Date(Date.now() - lastMs - MAX_CLOCK_SKEW_MS);
      const rows = sessions.aggregate<{ _id: string }>([
        { $match: { endedOn: { $gte: bound } } },
        { $project: { agoMs: { $subtract: ['$$NOW', '$endedOn'] } } },
        { $match: { agoMs: { $lt: lastMs } } },
      ]);
      return (await rows.toArray()).map(({ _id }) => _id);
    },
    async listSessions(userId) {
      return (await sessions.find({ userId }).sort({ createdAt: -1 }).toArray()).map(sessionRowOf);
    },
  };
}

/** Ends the open ones of these sessions. Returns their ids. */
async function endAll(
  sessions: Collection<SessionDocument>,
  which: Filter<SessionDocument>,
  at: string,
): Promise<string[]> {
  const found = sessions.find({ ...which, endedAt: null }).project<{ _id: string }>({ _id: 1 });
  const ids = (await found.toArray()).map(({ _id }) => _id);
  await sessions.updateMany({ _id: { $in: ids }, endedAt: null }, endAt(at));
  return ids;
}

async function pruneSessions(
  sessions: Collection<SessionDocument>,
  userId: UserId,
  now: string,
): Promise<void> {
  const isOver = [{ endedAt: { $ne: null }, issued: null }, { expiresAt: { $lte: now } }];
  const ended = { userId, $or: isOver };
  const oldest = sessions
    .find(ended)
    .sort({ createdAt: -1 })
    .skip(MAX_ENDED_SESSIONS)
    .project<{ _id: string }>({ _id: 1 });
  const ids = (await oldest.toArray()).map(({ _id }) => _id);
  if (ids.length > 0) await sessions.deleteMany({ _id: { $in: ids } });
}

const sessionRowOf = ({ _id, endedOn: _, ...session }: SessionDocument): SessionRow => ({
  id: _id,
  ...session,
});

const endAt = (at: string) => [{ $set: { endedAt: { $literal: at }, endedOn: '$$NOW' } }];

/** Returns false if a row with this `_id` exists. */
export async function insertRow<R extends { _id: string }>(rows: Collection<R>, row: R): Promise<boolean> {
  try {
    // R has the `_id` that the driver's parameter type demands, but TypeScript cannot tell for a generic R.
    await rows.insertOne(row as Parameters<typeof rows.insertOne>[0]);
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}
