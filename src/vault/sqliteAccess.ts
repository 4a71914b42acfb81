import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { MAX_ENDED_SESSIONS, type ServerKeyRow, type SessionRow } from './vaultStore.js';

/** Who may ask something of this server: server keys and sessions, in the embedded vault. */

type StoredKey = Omit<ServerKeyRow, 'scopes'> & { readonly scopes: string };

/** `insertServerKey` has written the scopes as JSON. */
const rowOf = ({ scopes, ...row }: StoredKey): ServerKeyRow => ({
  ...row,
  scopes: JSON.parse(scopes) as string[],
});

/** Server keys in the embedded vault: see `ServerKeyTable`. Creates their table. */
export function sqliteServerKeys(db: DatabaseSyncInstance) {
  db.exec(`CREATE TABLE IF NOT EXISTS server_keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
    createdAt TEXT NOT NULL, revokedAt TEXT) WITHOUT ROWID`);
  const statements = {
    insert: db.prepare('INSERT INTO server_keys VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING'),
    find: db.prepare('SELECT * FROM server_keys WHERE hash = ?'),
    list: db.prepare('SELECT * FROM server_keys ORDER BY createdAt, id'),
    revoke: db.prepare('UPDATE server_keys SET revokedAt = ? WHERE id = ? AND revokedAt IS NULL'),
  };
  // Rows have the columns of the table.
  return {
    insertServerKey: ({ id, name, scopes, hash, createdAt, revokedAt }: ServerKeyRow): boolean =>
      statements.insert.run(id, name, JSON.stringify(scopes), hash, createdAt, revokedAt).changes === 1,
    findServerKey(hash: string): ServerKeyRow | undefined {
      const row = statements.find.get(hash) as StoredKey | undefined;
      return row && rowOf(row);
    },
    listServerKeys: (): ServerKeyRow[] => (statements.list.all() as StoredKey[]).map(rowOf),
    revokeServerKey(id: string, at: string): void {
      statements.revoke.run(at, id);
    },
  };
}

/** `rows` have the column `id`. */
const idsIn = (rows: unknown[]): string[] => (rows as { id: string }[]).map(({ id }) => id);

/** Sessions: see `SessionTable`. Creates their table. */
export function sqliteSessions(db: DatabaseSyncInstance) {
  db.exec(`
    CREATE TABLE IF NOT EXISTS sessions (
      id TEXT PRIMARY KEY, userId TEXT NOT NULL,
      createdAt TEXT NOT NULL, expiresAt TEXT NOT NULL, endedAt TEXT, issued TEXT) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS sessions_of_user ON sessions (userId, createdAt);
    CREATE INDEX IF NOT EXISTS sessions_issued ON sessions (issued) WHERE issued <> '';
  `);
  const statements = {
    insertSession: db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
    pruneSessions: db.prepare(`DELETE FROM sessions WHERE id IN (
      SELECT id FROM sessions WHERE userId = ?
        AND (expiresAt <= ? OR (endedAt IS NOT NULL AND issued IS NULL))
      ORDER BY createdAt DESC LIMIT -1 OFFSET ${MAX_ENDED_SESSIONS})`),
    session: db.prepare('SELECT * FROM sessions WHERE id = ?'),
    endSession: db.prepare('UPDATE sessions SET endedAt = ? WHERE id = ? AND endedAt IS NULL'),
    endSessions: db.prepare(
      'UPDATE sessions SET endedAt = ? WHERE userId = ? AND endedAt IS NULL AND id IS NOT ? RETURNING id',
    ),
    endIssuedTo: db.prepare(
      'UPDATE sessions SET endedAt = ? WHERE userId = ? AND issued IS NOT NULL AND createdAt <= ? AND endedAt IS NULL RETURNING id',
    ),
    endIssuedAs: db.prepare(
      "UPDATE sessions SET endedAt = ? WHERE issued = ? AND issued <> '' AND endedAt IS NULL RETURNING id",
    ),
    sessions: db.prepare('SELECT * FROM sessions WHERE userId = ? ORDER BY createdAt DESC'),
  };
  // Rows have the columns of the table.
  return {
    insertSession({ id, userId, createdAt, expiresAt, endedAt, issued }: SessionRow): boolean {
      const { changes } = statements.insertSession.run(id, userId, createdAt, expiresAt, endedAt, issued);
      statements.pruneSessions.run(userId, createdAt);
      return changes === 1;
    },
    findSession: (id: string) => statements.session.get(id) as SessionRow | undefined,
    endSession(id: string, at: string): void {
      statements.endSession.run(at, id);
    },
    endSessions: (userId: string, except: string | null, at: string): string[] =>
      idsIn(statements.endSessions.all(at, userId, except)),
    endIssuedTo: (userId: string, upTo: string, at: string): string[] =>
      idsIn(statements.endIssuedTo.all(at, userId, upTo)),
    endIssuedAs: (issued: string, at: string): string[] => idsIn(statements.endIssuedAs.all(at, issued)),
    // The data directory has one owner, so that no other process ends sessions.
    listRecentlyEnded: (): string[] | undefined => undefined,
    listSessions: (userId: string): SessionRow[] => statements.sessions.all(userId) as SessionRow[],
  };
}
