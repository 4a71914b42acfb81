import { randomUUID } from 'node:crypto';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { FORMAT, type LogMeta } from './meta.js';

/** The name of a partition's table. */
export const tableOf = (partition: number): string => `commits_${partition}`;

/** What a log's file says of itself; undefined if it has not been made yet. */
export function readMeta(db: DatabaseSyncInstance): LogMeta | undefined {
  const exists = db.prepare(`SELECT 1 FROM sqlite_master WHERE name = 'meta'`).get();
  if (!exists) return undefined;
  return db.prepare('SELECT logId, partitions, format FROM meta').get();
}

/** The same of a file to write to; a new log is made with so many partitions. */
export function openMeta(db: DatabaseSyncInstance, partitions: number): LogMeta {
  db.exec('BEGIN IMMEDIATE');
  try {
    const meta = readMeta(db) ?? makeTables(db, partitions);
    db.exec('COMMIT');
    return meta;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** One table a partition, and one index: the position is the row's own key. */
function makeTables(db: DatabaseSyncInstance, partitions: number): LogMeta {
  const meta: LogMeta = { logId: randomUUID(), partitions, format: FORMAT };
  db.exec(
    'CREATE TABLE meta (logId TEXT NOT NULL, partitions INTEGER NOT NULL, format INTEGER NOT NULL) STRICT',
  );
  db.prepare('INSERT INTO meta VALUES (?, ?, ?)').run(meta.logId, meta.partitions, meta.format);
  for (let partition = 0; partition < partitions; partition++)
    db.exec(`CREATE TABLE ${tableOf(partition)} (position INTEGER PRIMARY KEY, id TEXT NOT NULL,
      epoch INTEGER NOT NULL, recordedAt TEXT NOT NULL, firstOffset INTEGER NOT NULL, size INTEGER NOT NULL,
      root TEXT NOT NULL, frontier TEXT, hash TEXT NOT NULL, leaves BLOB NOT NULL) STRICT`);
  return meta;
}
