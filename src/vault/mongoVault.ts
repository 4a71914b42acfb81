import { Binary, type Db, type MongoClient } from 'mongodb';
import { createMongoClient, withCallTimeouts } from '../base/mongo.js';
import type { RoomId, UserId, WriterInRoom } from '../domain/ids.js';
import { createServerKeyTable, createSessionTable, insertRow, type Keyed } from './mongoAccess.js';
import { createHoldTable } from './mongoHolds.js';
import { createSubscriptionTable } from './mongoSubscriptions.js';
import type {
  ClaimRow,
  ClaimTable,
  ErasureRow,
  ErasureTable,
  HeadRow,
  HeadTable,
  KeyTable,
  NumberTable,
  PersonRow,
  SigningKeyRow,
  SigningKeyTable,
  VaultStore,
} from './vaultStore.js';

/** For finding a server, for getting a connection and for its answer, each. */
const SERVER_TIMEOUT_MS = 5_000;
/** For a whole call: a server, then an answer. */
const CALL_TIMEOUT_MS = 2 * SERVER_TIMEOUT_MS;
/**
 * Opens the vault in MongoDB: its own database, `<database of the URL>_vault`. A write waits for the journals of a
 * majority. A read returns what a majority holds.
 */
export async function openMongoVaultStore(url: string): Promise<VaultStore> {
  const { client, db } = connectMongoVault(url);
  try {
    const store: VaultStore = {
      ...createSettings(db),
      ...(await createKeyTable(db)),
      ...createNumberTable(db),
      ...(await createHoldTable(db)),
      ...createSubscriptionTable(db),
      ...createClaimTable(db),
      ...createErasureTable(db),
      ...createSigningKeyTable(db),
      ...createHeadTable(db),
      ...(await createServerKeyTable(db)),
      ...(await createSessionTable(db)),
      close: () => client.close(),
    };
    return withCallTimeouts(CALL_TIMEOUT_MS, store);
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Whether the vault in this database was created. Writes nothing. */
export async function hasMongoVault(url: string): Promise<boolean> {
  const { client, db } = connectMongoVault(url);
  try {
    return (await db.collection('settled').findOne({})) !== null;
  } finally {
    await client.close();
  }
}

/** Connects to the vault: its own database, `<database of the URL>_vault`. */
export function connectMongoVault(url: string): { client: MongoClient; db: Db } {
  const client = createMongoClient(url, {
    serverSelectionTimeoutMS: SERVER_TIMEOUT_MS,
    waitQueueTimeoutMS: SERVER_TIMEOUT_MS,
    socketTimeoutMs: SERVER_TIMEOUT_MS,
    retryWrites: false,
    writeConcern: { w: 'majority', journal: true },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
  });
  return { client, db: client.db(`${client.db().databaseName}_vault`) };
}

function createSettings(db: Db): Pick<VaultStore, 'insertIfAbsent'> {
  const settled = db.collection<{ _id: string; value: string }>('settled');
  return {
    async insertIfAbsent(name, value) {
      await insertRow(settled, { _id: name, value });
      const row = await settled.findOne({ _id: name });
      if (!row) throw new Error(`the value of ${name} is missing right after it was stored`);
      return row.value;
    },
  };
}

type KeyDocument = { _id: UserId; version: number; own: Binary | null; roots: Binary | null };
type RoomDocument = { _id: string; owner: UserId; roomId: RoomId; version: number; sealed: Binary };

const bytesOf = (value: Binary | null): Uint8Array | null => value?.value() ?? null;
const roomDocumentId = ({ owner, roomId }: WriterInRoom): string => `${owner}/${roomId}`;

async function createKeyTable(db: Db): Promise<KeyTable> {
  const keys = db.collection<KeyDocument>('keys');
  const rooms = db.collection<RoomDocument>('rooms');
  await rooms.createIndex({ owner: 1 });
  const personOf = ({ _id, version, own, roots }: KeyDocument): PersonRow => ({
    owner: _id,
    version,
    own: bytesOf(own),
    roots: bytesOf(roots),
  });
  return {
    insertKey: (owner, own, roots) =>
      insertRow(keys, { _id: owner, version: 1, own: new Binary(own), roots: new Binary(roots) }),
    async findKeys(owners) {
      const found = keys.find({ _id: { $in: [...owners] } }).project<KeyDocument>({ own: 1 });
      return (await found.toArray()).map(({ _id, own }) => ({ owner: _id, own: bytesOf(own) }));
    },
    findPeople: async (owners) => (await keys.find({ _id: { $in: [...owners] } }).toArray()).map(personOf),
    async destroyKey(owner) {
      // Not an upsert: servers differ in the error of an upsert that loses a race.
      if (!(await insertRow(keys, { _id: owner, version: 1, own: null, roots: null })))
        await keys.updateOne({ _id: owner }, { $set: { own: null, roots: null }, $inc: { version: 1 } });
      await rooms.deleteMany({ owner });
    },
    async replaceRoots(owner, from, roots) {
      const { matchedCount } = await keys.updateOne(
        { _id: owner, version: from, roots: { $ne: null } },
        { $set: { roots: new Binary(roots), version: from + 1 } },
      );
      return matchedCount === 1;
    },
    async findRooms(asked) {
      const rows = await rooms.find({ _id: { $in: asked.map(roomDocumentId) } }).toArray();
      return rows.map(({ _id, sealed, ...row }) => ({ ...row, sealed: sealed.value() }));
    },
    async replaceRoom({ owner, roomId, version, sealed }) {
      const row = {
        _id: roomDocumentId({ owner, roomId }),
        owner,
        roomId,
        version,
        sealed: new Binary(sealed),
      };
      if (version === 1) return insertRow(rooms, row);
      const { matchedCount } = await rooms.updateOne(
        { _id: row._id, version: version - 1 },
        { $set: { version, sealed: row.sealed } },
      );
      return matchedCount === 1;
    },
    // A document is replaced as a whole. What the server's files keep of it is in docs/security.md.
    removeReplaced: async () => undefined,
  };
}

function createNumberTable(db: Db): NumberTable {
  const numbers = db.collection<{ _id: string; value: number }>('numbers');
  return {
    findNumber: async (name) => (await numbers.findOne({ _id: name }))?.value ?? 0,
    async raiseNumber(name, to) {
      if (to <= 0) return false;
      if (await insertRow(numbers, { _id: name, value: to })) return true;
      const { matchedCount } = await numbers.updateOne(
        { _id: name, value: { $lt: to } },
        { $set: { value: to } },
      );
      return matchedCount === 1;
    },
  };
}

function createClaimTable(db: Db): ClaimTable {
  const claims = db.collection<Keyed<ClaimRow>>('claims');
  return {
    insertClaim: (id, sealed) => insertRow(claims, { _id: id, sealed, registered: false }),
    async findClaim(id) {
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
  };
}

function createErasureTable(db: Db): ErasureTable {
  const erasures = db.collection<Keyed<Omit<ErasureRow, 'owner'>>>('erasures');
  return {
    async insertErasure({ owner, ...row }) {
      await insertRow(erasures, { _id: owner, ...row });
    },
    async listErasures() {
      return (await erasures.find().toArray()).map(({ _id, ...row }) => ({ owner: _id, ...row }));
    },
    async removeErasure(owner) {
      await erasures.deleteOne({ _id: owner });
    },
  };
}

function createSigningKeyTable(db: Db): SigningKeyTable {
  const signingKeys = db.collection<Keyed<SigningKeyRow>>('signing_keys');
  return {
    insertSigningKey: (key) => insertRow(signingKeys, { _id: String(key.number), ...key }),
    async listSigningKeys() {
      return (await signingKeys.find().toArray()).map(withoutId);
    },
  };
}

function createHeadTable(db: Db): HeadTable {
  const heads = db.collection<Keyed<HeadRow>>('heads');
  const givenUpHeads = db.collection<Keyed<HeadRow>>('given_up_heads');
  return {
    async listHeads() {
      return (await heads.find().toArray()).map(withoutId);
    },
    async findHead(partition) {
      const row = await heads.findOne({ _id: String(partition) });
      return row ? withoutId(row) : undefined;
    },
    async replaceHead(from, to) {
      const _id = String(to.partition);
      if (from === null) return insertRow(heads, { _id, ...to });
      const { matchedCount } = await heads.updateOne({ _id, note: from }, { $set: to });
      return matchedCount === 1;
    },
    async keepAbandonedHead(head) {
      await insertRow(givenUpHeads, { _id: head.note, ...head });
    },
  };
}

const withoutId = <R>({ _id, ...row }: Keyed<R>) => row;
