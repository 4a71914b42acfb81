import { type Collection, MongoServerError } from 'mongodb';
import { createMongoClient, withCallTimeouts } from '../base/mongo.js';
import {
  type ClaimRow,
  type ErasureRow,
  type HeadRow,
  type KeyRow,
  MAX_ENDED_SESSIONS,
  type SessionRow,
  type SigningKeyRow,
  type VaultStore,
} from './vaultStore.js';

type Keyed<R> = R & { _id: string };

/** For a server, for a connection to it and for its answer: no call waits for ever. */
const SERVER_TIMEOUT_MS = 5_000;
/** For all that a call does. */
const CALL_TIMEOUT_MS = 10_000;
const DUPLICATE_KEY = 11000;
/** What an index looks through: the clocks of a node and of the database are never this far apart. */
const MAX_CLOCK_SKEW_MS = 3_600_000;

/** `endedOn`: the end on the database's clock; `endedAt` is what users are told. */
type SessionDocument = Keyed<Omit<SessionRow, 'id'>> & { readonly endedOn?: Date };

/**
 * The vault in MongoDB: a database of its own beside the one in the URL, `<database>_vault`. Every write waits
 * for the journals of a majority; every read is of what a majority holds.
 */
export async function openMongoVaultStore(url: string): Promise<VaultStore> {
  const client = createMongoClient(url, {
    serverSelectionTimeoutMS: SERVER_TIMEOUT_MS,
    waitQueueTimeoutMS: SERVER_TIMEOUT_MS,
    socketTimeoutMs: SERVER_TIMEOUT_MS,
    retryWrites: false,
    writeConcern: { w: 'majority', journal: true },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
  });
  const db = client.db(`${client.db().databaseName}_vault`);
  const settled = db.collection<{ _id: string; value: string }>('settled');
  const keys = db.collection<Keyed<Omit<KeyRow, 'owner'>>>('keys');
  const claims = db.collection<Keyed<ClaimRow>>('claims');
  const erasures = db.collection<Keyed<Omit<ErasureRow, 'owner'>>>('erasures');
  const signingKeys = db.collection<Keyed<SigningKeyRow>>('signing_keys');
  const heads = db.collection<Keyed<HeadRow>>('heads');
  const givenUpHeads = db.collection<Keyed<HeadRow>>('given_up_heads');
  const sessions = db.collection<SessionDocument>('sessions');
  try {
    await sessions.createIndexes([
      { key: { userId: 1, createdAt: -1 } },
      { key: { endedOn: 1 }, sparse: true },
    ]);
  } catch (error) {
    await client.close();
    throw error;
  }

  return withCallTimeouts(CALL_TIMEOUT_MS, {
    async insertIfAbsent(name, value) {
      await insertIfAbsent(settled, { _id: name, value });
      const row = await settled.findOne({ _id: name });
      if (!row) throw new Error(`${name} was stored, but is not there`);
      return row.value;
    },

    insertKey: (owner, wrapped) => insertIfAbsent(keys, { _id: owner, wrapped }),
    async keys(owners) {
      const rows = await keys.find({ _id: { $in: [...owners] } }).toArray();
      return rows.map(({ _id, wrapped }) => ({ owner: _id, wrapped }));
    },
    async destroyKey(owner) {
      // Insert and update apart: what an upsert that loses a race answers differs between servers.
      if (await insertIfAbsent(keys, { _id: owner, wrapped: null })) return;
      await keys.updateOne({ _id: owner }, { $set: { wrapped: null } });
    },

    insertClaim: (id, sealed) => insertIfAbsent(claims, { _id: id, sealed, registered: false }),
    async claim(id) {
      const row = await claims.findOne({ _id: id });
      return row ? { sealed: row.sealed, registered: row.registered } : undefined;
    },
    async markRegistered(id) {
      await claims.updateOne({ _id: id }, { $set: { registered: true } });
    },
    async replaceClaim(id, from, to) {
      const { matchedCount } = await claims.updateOne({ _id: id, sealed: from }, { $set: { sealed: to } });
      return matchedCount === 1;
    },
    async eraseClaim(id) {
      await claims.updateOne({ _id: id }, { $set: { sealed: null } });
    },

    async insertErasure({ owner, claim }) {
      await insertIfAbsent(erasures, { _id: owner, claim });
    },
    async erasures() {
      return (await erasures.find().toArray()).map(({ _id, claim }) => ({ owner: _id, claim }));
    },
    async removeErasure(owner) {
      await erasures.deleteOne({ _id: owner });
    },

    insertSigningKey: (key) => insertIfAbsent(signingKeys, { _id: String(key.number), ...key }),
    async signingKeys() {
      return (await signingKeys.find().toArray()).map(withoutId);
    },
    async heads() {
      return (await heads.find().toArray()).map(withoutId);
    },
    async head(partition) {
      const row = await heads.findOne({ _id: String(partition) });
      return row ? withoutId(row) : undefined;
    },
    async replaceHead(from, to) {
      const _id = String(to.partition);
      if (from === null) return insertIfAbsent(heads, { _id, ...to });
      const { matchedCount } = await heads.updateOne({ _id, note: from }, { $set: to });
      return matchedCount === 1;
    },
    async keepAbandonedHead(head) {
      await insertIfAbsent(givenUpHeads, { _id: head.note, ...head });
    },

    async insertSession({ id, ...session }) {
      await sessions.insertOne({ _id: id, ...session });
      await prune(session.userId, session.createdAt);
    },
    async session(id) {
      const row = await sessions.findOne({ _id: id });
      return row ? sessionRow(row) : undefined;
    },
    async endSession(id, at) {
      await sessions.updateOne({ _id: id, endedAt: null }, ended(at));
    },
    async endSessions(userId, except, at) {
      const open = { userId, endedAt: null, ...(except === null ? {} : { _id: { $ne: except } }) };
      const ids = (await sessions.find(open).project<{ _id: string }>({ _id: 1 }).toArray()).map(
        ({ _id }) => _id,
      );
      await sessions.updateMany({ _id: { $in: ids }, endedAt: null }, ended(at));
      return ids;
    },
    async listRecentlyEnded(lastMs) {
      const bound = new Date(Date.now() - lastMs - MAX_CLOCK_SKEW_MS);
      const rows = sessions.aggregate<{ _id: string }>([
        { $match: { endedOn: { $gte: bound } } },
        { $project: { ago: { $subtract: ['$$NOW', '$endedOn'] } } },
        { $match: { ago: { $lt: lastMs } } },
      ]);
      return (await rows.toArray()).map(({ _id }) => _id);
    },
    async sessions(userId) {
      return (await sessions.find({ userId }).sort({ createdAt: -1 }).toArray()).map(sessionRow);
    },

    close: () => client.close(),
  } satisfies VaultStore);

  async function prune(userId: string, now: string): Promise<void> {
    const dead = { userId, $or: [{ endedAt: { $ne: null } }, { expiresAt: { $lte: now } }] };
    const old = sessions
      .find(dead)
      .sort({ createdAt: -1 })
      .skip(MAX_ENDED_SESSIONS)
      .project<{ _id: string }>({ _id: 1 });
    const ids = (await old.toArray()).map(({ _id }) => _id);
    if (ids.length > 0) await sessions.deleteMany({ _id: { $in: ids } });
  }
}

const sessionRow = ({ _id, endedOn: _, ...session }: SessionDocument): SessionRow => ({
  id: _id,
  ...session,
});

const withoutId = <R>({ _id, ...row }: Keyed<R>) => row;

const ended = (at: string) => [{ $set: { endedAt: { $literal: at }, endedOn: '$$NOW' } }];

async function insertIfAbsent<R extends { _id: string }>(rows: Collection<R>, row: R): Promise<boolean> {
  try {
    // The row carries its `_id`, which is all that the driver's type asks for beyond R.
    await rows.insertOne(row as Parameters<typeof rows.insertOne>[0]);
    return true;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return false;
    throw error;
  }
}
