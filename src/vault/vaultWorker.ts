import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { removeCopies } from '../base/files.js';
import { serveThread } from '../base/workerThreads.js';
import type { WriterInRoom } from '../domain/ids.js';
import { ROW_SALT_BYTES } from './dataKeys.js';
import { sqliteServerKeys, sqliteSessions } from './sqliteAccess.js';
import { sqliteSubscriptions } from './sqliteSubscriptions.js';
import {
  type ClaimRow,
  type DeletedHold,
  type ErasureRow,
  type HeadRow,
  type HoldRow,
  holdId,
  type KeyRow,
  type PersonRow,
  type RoomRow,
  type SigningKeyRow,
  type VaultStore,
} from './vaultStore.js';

if (!parentPort) throw new Error('run this file as a worker thread');

// `openSqliteVaultStore` passes the file's path.
const { path } = workerData as { path: string };
const db = new DatabaseSync(path, { timeout: 5000 });
db.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA secure_delete = ON;
  CREATE TABLE IF NOT EXISTS settled (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS keys (owner TEXT PRIMARY KEY, version INTEGER NOT NULL, own BLOB, roots BLOB);
  CREATE TABLE IF NOT EXISTS rooms (
    owner TEXT NOT NULL, roomId TEXT NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (owner, roomId));
  CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS uncleared (id INTEGER PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS holds (
    id TEXT PRIMARY KEY, report TEXT NOT NULL, owner TEXT NOT NULL, roomId TEXT NOT NULL, seq INTEGER NOT NULL,
    partition INTEGER NOT NULL, until INTEGER NOT NULL, isDeleted INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS holds_of_report ON holds (report);
  CREATE INDEX IF NOT EXISTS holds_in_room ON holds (roomId, seq);
  CREATE INDEX IF NOT EXISTS holds_by_end ON holds (until);
  CREATE TABLE IF NOT EXISTS claims (id TEXT PRIMARY KEY, sealed TEXT, registered INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS erasures (owner TEXT PRIMARY KEY, claim TEXT NOT NULL, via TEXT) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS signing_keys (number INTEGER PRIMARY KEY, sealed TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS heads (
    partition INTEGER PRIMARY KEY, position INTEGER NOT NULL, size INTEGER NOT NULL, root TEXT NOT NULL,
    hash TEXT NOT NULL, note TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS given_up_heads (
    note TEXT PRIMARY KEY, partition INTEGER NOT NULL, position INTEGER NOT NULL, size INTEGER NOT NULL,
    root TEXT NOT NULL, hash TEXT NOT NULL);
`);

const statements = {
  settle: db.prepare('INSERT INTO settled VALUES (?, ?) ON CONFLICT DO NOTHING'),
  settled: db.prepare('SELECT value FROM settled WHERE name = ?'),
  insertKey: db.prepare('INSERT INTO keys VALUES (?, 1, ?, ?) ON CONFLICT DO NOTHING'),
  keys: db.prepare('SELECT owner, own FROM keys WHERE owner IN (SELECT value FROM json_each(?))'),
  people: db.prepare('SELECT * FROM keys WHERE owner IN (SELECT value FROM json_each(?))'),
  // The version grows, so that who has read the row before does not write.
  destroyKey: db.prepare(`INSERT INTO keys VALUES (?, 1, NULL, NULL)
    ON CONFLICT DO UPDATE SET version = version + 1, own = NULL, roots = NULL`),
  replaceRoots: db.prepare(
    'UPDATE keys SET version = version + 1, roots = ? WHERE owner = ? AND version = ? AND roots IS NOT NULL',
  ),
  room: db.prepare('SELECT * FROM rooms WHERE owner = ? AND roomId = ?'),
  roomsOfOwner: db.prepare('SELECT * FROM rooms WHERE owner = ?'),
  insertRoom: db.prepare(`INSERT INTO rooms SELECT ?, ?, ?, ?
    WHERE EXISTS (SELECT 1 FROM keys WHERE owner = ? AND own IS NOT NULL) ON CONFLICT DO NOTHING`),
  replaceRoom: db.prepare(
    'UPDATE rooms SET version = ?, sealed = ? WHERE owner = ? AND roomId = ? AND version = ?',
  ),
  removeRooms: db.prepare('DELETE FROM rooms WHERE owner = ?'),
  number: db.prepare('SELECT value FROM numbers WHERE name = ?'),
  raiseNumber: db.prepare(`INSERT INTO numbers VALUES (?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value WHERE value < excluded.value`),
  uncleared: db.prepare('SELECT count(*) AS count FROM uncleared'),
  addUncleared: db.prepare('INSERT INTO uncleared DEFAULT VALUES'),
  removeUncleared: db.prepare('DELETE FROM uncleared'),
  insertHold: db.prepare('INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
  markHeld: db.prepare(`UPDATE holds SET isDeleted = 1
    WHERE roomId = ? AND seq IN (SELECT value FROM json_each(?)) AND until > ? RETURNING seq`),
  endHolds: db.prepare('UPDATE holds SET until = 0 WHERE report = ?'),
  holdsOf: db.prepare('SELECT * FROM holds WHERE report = ?'),
  holdsIn: db.prepare('SELECT * FROM holds WHERE roomId = ? AND seq IN (SELECT value FROM json_each(?))'),
  deletedHolds: db.prepare(`SELECT DISTINCT owner, roomId, seq FROM holds
    WHERE isDeleted = 1 AND roomId IN (SELECT value FROM json_each(?))`),
  endedHolds: db.prepare(`SELECT * FROM holds
    WHERE until <= ? AND partition IN (SELECT value FROM json_each(?)) ORDER BY until LIMIT ?`),
  removeHolds: db.prepare('DELETE FROM holds WHERE roomId = ? AND seq = ? AND until <= ?'),
  pageHolds: db.prepare('SELECT * FROM holds WHERE id > ? ORDER BY id LIMIT ?'),
  insertClaim: db.prepare('INSERT INTO claims VALUES (?, ?, 0) ON CONFLICT DO NOTHING'),
  claim: db.prepare('SELECT sealed, registered FROM claims WHERE id = ?'),
  markRegistered: db.prepare('UPDATE claims SET registered = 1 WHERE id = ?'),
  replaceClaim: db.prepare('UPDATE claims SET sealed = ? WHERE id = ? AND sealed = ?'),
  eraseClaim: db.prepare('UPDATE claims SET sealed = NULL WHERE id = ?'),
  insertErasure: db.prepare('INSERT INTO erasures VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
  erasures: db.prepare('SELECT * FROM erasures'),
  removeErasure: db.prepare('DELETE FROM erasures WHERE owner = ?'),
  insertSigningKey: db.prepare('INSERT INTO signing_keys VALUES (?, ?) ON CONFLICT DO NOTHING'),
  signingKeys: db.prepare('SELECT number, sealed FROM signing_keys'),
  heads: db.prepare('SELECT * FROM heads'),
  head: db.prepare('SELECT * FROM heads WHERE partition = ?'),
  insertHead: db.prepare('INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
  replaceHead: db.prepare(
    'UPDATE heads SET position = ?, size = ?, root = ?, hash = ?, note = ? WHERE partition = ? AND note = ?',
  ),
  keepHead: db.prepare('INSERT INTO given_up_heads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
};

/** Empties the write-ahead log, where overwritten secrets would remain readable. */
function emptyLog(): void {
  // The pragma returns `busy`, which is 1 while another process reads the file.
  const { busy } = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
  if (busy !== 0)
    throw new Error(
      'another process is reading the vault, so that its write-ahead log cannot be emptied; try again',
    );
}

const file = { path, emptyWal: emptyLog, rewrite: () => db.exec('VACUUM') };

/** Also after an earlier call that was interrupted: what it left is not known, so that the file is rewritten. */
function removeReplaced(): void {
  const { count } = statements.uncleared.get() as { count: number };
  if (count === 0) return;
  removeCopies(file, undefined);
  statements.removeUncleared.run();
}

/**
 * Overwrites secrets and clears every copy of them from the file: see `removeCopies`. Notes in the same transaction that
 * this is to be done, so that it is done even if this process ends between.
 */
function overwriteSecrets(secrets: readonly (string | Uint8Array)[], overwrite: () => boolean): boolean {
  if (secrets.length === 0) removeReplaced();
  db.exec('BEGIN IMMEDIATE');
  let isDone: boolean;
  try {
    isDone = overwrite();
    if (isDone && secrets.length > 0) statements.addUncleared.run();
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
  if (!isDone || secrets.length === 0) return isDone;
  const { count } = statements.uncleared.get() as { count: number };
  removeCopies(file, count === 1 ? secrets : undefined);
  statements.removeUncleared.run();
  return true;
}

const PIECE_BYTES = 8;

/** The salt of a row, in pieces: any 15 of its bytes in a row hold one of them, so that less is left of it. */
function saltOf(row: Uint8Array): Uint8Array[] {
  return Array.from({ length: ROW_SALT_BYTES / PIECE_BYTES }, (_, i) =>
    row.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES),
  );
}

type StoredHold = Omit<HoldRow, 'isDeleted'> & { readonly id: string; readonly isDeleted: number };

/** `found` are rows of the table `holds`. */
const holdRows = (found: unknown[]): HoldRow[] =>
  (found as StoredHold[]).map(({ id: _, isDeleted, ...row }) => ({ ...row, isDeleted: isDeleted === 1 }));

// Rows have the columns that their statement names, as the schema above defines them.
const sqliteVault = {
  ...sqliteSubscriptions(db),
  insertIfAbsent(name: string, value: string): string {
    statements.settle.run(name, value);
    return (statements.settled.get(name) as { value: string }).value;
  },
  insertKey: (owner: string, own: Uint8Array, roots: Uint8Array): boolean =>
    statements.insertKey.run(owner, own, roots).changes === 1,
  findKeys: (owners: readonly string[]): KeyRow[] => statements.keys.all(JSON.stringify(owners)) as KeyRow[],
  findPeople: (owners: readonly string[]): PersonRow[] =>
    statements.people.all(JSON.stringify(owners)) as PersonRow[],
  destroyKey(owner: string): void {
    const [row] = statements.people.all(JSON.stringify([owner])) as PersonRow[];
    const rooms = statements.roomsOfOwner.all(owner) as RoomRow[];
    const sealed = [row?.own, row?.roots, ...rooms.map((room) => room.sealed)];
    overwriteSecrets(
      sealed.flatMap((bytes) => (bytes ? saltOf(bytes) : [])),
      () => {
        statements.removeRooms.run(owner);
        statements.destroyKey.run(owner);
        return true;
      },
    );
  },
  replaceRoots(owner: string, from: number, roots: Uint8Array): boolean {
    const [row] = statements.people.all(JSON.stringify([owner])) as PersonRow[];
    if (!row?.roots || row.version !== from) return false;
    return overwriteSecrets(
      saltOf(row.roots),
      () => statements.replaceRoots.run(roots, owner, from).changes === 1,
    );
  },
  findRooms: (rooms: readonly WriterInRoom[]): RoomRow[] =>
    rooms.flatMap(({ owner, roomId }) => (statements.room.get(owner, roomId) as RoomRow | undefined) ?? []),
  replaceRoom({ owner, roomId, version, sealed }: RoomRow): boolean {
    if (version === 1) return statements.insertRoom.run(owner, roomId, version, sealed, owner).changes === 1;
    const row = statements.room.get(owner, roomId) as RoomRow | undefined;
    if (row?.version !== version - 1) return false;
    return overwriteSecrets(
      saltOf(row.sealed),
      () => statements.replaceRoom.run(version, sealed, owner, roomId, version - 1).changes === 1,
    );
  },
  removeReplaced,
  findNumber: (name: string): number =>
    (statements.number.get(name) as { value: number } | undefined)?.value ?? 0,
  raiseNumber: (name: string, to: number): boolean =>
    to > 0 && statements.raiseNumber.run(name, to).changes === 1,

  insertHolds(holds: readonly HoldRow[]): void {
    for (const hold of holds) {
      const { report, owner, roomId, seq, partition, until, isDeleted } = hold;
      statements.insertHold.run(
        holdId(hold),
        report,
        owner,
        roomId,
        seq,
        partition,
        until,
        isDeleted ? 1 : 0,
      );
    }
  },
  markHeld(roomId: string, seqs: readonly number[], now: number): number[] {
    const held = statements.markHeld.all(roomId, JSON.stringify(seqs), now) as { seq: number }[];
    return [...new Set(held.map(({ seq }) => seq))];
  },
  endHolds(report: string): void {
    statements.endHolds.run(report);
  },
  findHoldsOf: (report: string): HoldRow[] => holdRows(statements.holdsOf.all(report)),
  findHoldsIn: (roomId: string, seqs: readonly number[]): HoldRow[] =>
    holdRows(statements.holdsIn.all(roomId, JSON.stringify(seqs))),
  findDeletedHolds: (roomIds: readonly string[]): DeletedHold[] =>
    statements.deletedHolds.all(JSON.stringify(roomIds)) as DeletedHold[],
  listEndedHolds: (partitions: readonly number[], now: number, limit: number): HoldRow[] =>
    holdRows(statements.endedHolds.all(now, JSON.stringify(partitions), limit)),
  removeEndedHolds(roomId: string, seq: number, now: number): void {
    statements.removeHolds.run(roomId, seq, now);
  },
  pageHolds: (after: string, limit: number): HoldRow[] => holdRows(statements.pageHolds.all(after, limit)),

  insertClaim: (id: string, sealed: string): boolean => statements.insertClaim.run(id, sealed).changes === 1,
  findClaim(id: string): ClaimRow | undefined {
    const row = statements.claim.get(id) as { sealed: string | null; registered: number } | undefined;
    return row && { sealed: row.sealed, registered: row.registered === 1 };
  },
  markRegistered(id: string): void {
    statements.markRegistered.run(id);
  },
  replaceClaim: (id: string, from: string, to: string): boolean =>
    statements.replaceClaim.run(to, id, from).changes === 1,
  eraseClaim(id: string): void {
    const row = statements.claim.get(id) as { sealed: string | null } | undefined;
    overwriteSecrets(row?.sealed ? [row.sealed] : [], () => statements.eraseClaim.run(id).changes === 1);
  },
  insertErasure({ owner, claim, via }: ErasureRow): void {
    statements.insertErasure.run(owner, claim, via);
  },
  listErasures: (): ErasureRow[] => statements.erasures.all() as ErasureRow[],
  removeErasure(owner: string): void {
    statements.removeErasure.run(owner);
  },

  insertSigningKey: ({ number, sealed }: SigningKeyRow): boolean =>
    statements.insertSigningKey.run(number, sealed).changes === 1,
  listSigningKeys: (): SigningKeyRow[] => statements.signingKeys.all() as SigningKeyRow[],
  listHeads: (): HeadRow[] => statements.heads.all() as HeadRow[],
  findHead: (partition: number) => statements.head.get(partition) as HeadRow | undefined,
  replaceHead(from: string | null, { partition, position, size, root, hash, note }: HeadRow): boolean {
    const { changes } =
      from === null
        ? statements.insertHead.run(partition, position, size, root, hash, note)
        : statements.replaceHead.run(position, size, root, hash, note, partition, from);
    return changes === 1;
  },
  keepAbandonedHead({ partition, position, size, root, hash, note }: HeadRow): void {
    statements.keepHead.run(note, partition, position, size, root, hash);
  },

  ...sqliteServerKeys(db),
  ...sqliteSessions(db),
  close: (): void => db.close(),
} satisfies { [K in keyof VaultStore]: (...args: never[]) => Awaited<ReturnType<VaultStore[K]>> };

/** The functions this thread serves. */
export type SqliteVault = typeof sqliteVault;
serveThread(parentPort, sqliteVault);
