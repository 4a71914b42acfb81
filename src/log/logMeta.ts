import { randomUUID } from 'node:crypto';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';

/** The description stored in a log when it is created. */
export interface LogMeta {
  /** A UUID. */
  readonly id: string;
  /** A UUID, renewed by every restore. Cursors and revisions name it. */
  readonly history: string;
  readonly partitions: number;
  /** The format of the stored data. Another number belongs to another version of this program. */
  readonly format: number;
}

/** The format this program reads and writes: see docs/log-format.md. */
const LOG_FORMAT = 1;

/** The table, or collection, of the description. Drafts of the format, before the first release, had another. */
export const META_TABLE = 'log';
/** The table, or collection, in which drafts of the format had their description. */
export const DRAFT_META_TABLE = 'meta';

/** The refusal of a log in a draft of the format. `setting` names where it lies. */
export const draftOfFormat = (setting: 'DATA_DIR' | 'MONGO_URL'): LogMismatch =>
  new LogMismatch(
    `${setting} holds a log in a format from before the first release, which this version cannot read; set ${setting} to an empty ${setting === 'DATA_DIR' ? 'directory' : 'database'}`,
  );

export const newMeta = (partitions: number): LogMeta => ({
  id: randomUUID(),
  history: randomUUID(),
  partitions,
  format: LOG_FORMAT,
});

/** The description of an open log. */
export const metaOf = ({ id, history, partitions }: Omit<LogMeta, 'format'>): LogMeta => ({
  ...{ id, history, partitions },
  format: LOG_FORMAT,
});

/** The log cannot be opened as asked. The message says what to change. Nothing was written. */
export class LogMismatch extends Error {
  override readonly name = 'LogMismatch';
}

/**
 * Throws `LogMismatch` unless the log has a supported format and the expected number of partitions; undefined
 * expects any number.
 */
export function checkLogMeta(meta: LogMeta, partitions: number | undefined): void {
  if (meta.format !== LOG_FORMAT)
    throw new LogMismatch(
      `the log has format ${meta.format}, but this version reads format ${LOG_FORMAT}; use the version that wrote it`,
    );
  if (!Number.isInteger(meta.partitions) || meta.partitions < 1)
    throw new LogMismatch(`the log's description is damaged: it has ${meta.partitions} partitions`);
  if (partitions !== undefined && partitions !== meta.partitions)
    throw new LogMismatch(
      `the log was created with ${meta.partitions} partitions, which cannot change; set PARTITIONS=${meta.partitions} instead of ${partitions}, or unset it`,
    );
}

/** Throws `RangeError` if the partition does not exist: a defect of the caller. */
export function checkPartition(partition: number, partitions: number): void {
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitions)
    throw new RangeError(`partition ${partition} does not exist: the log has ${partitions} partitions`);
}

/** The table of a partition. */
export const tableOf = (partition: number): string => `commits_${partition}`;

/** Reads the description of a log file; undefined if the log has not been created. Throws `LogMismatch`. */
export function readSqliteMeta(db: DatabaseSyncInstance): LogMeta | undefined {
  const exists = (table: string) =>
    db.prepare(`SELECT 1 FROM sqlite_master WHERE name = ?`).get(table) !== undefined;
  if (exists(DRAFT_META_TABLE)) throw draftOfFormat('DATA_DIR');
  if (!exists(META_TABLE)) return undefined;
  return db.prepare(`SELECT id, history, partitions, format FROM ${META_TABLE}`).get();
}

/** Reads the description of a writable log file. Creates a log with `partitions` if there is none. */
export function openSqliteMeta(db: DatabaseSyncInstance, partitions: number): LogMeta {
  db.exec('BEGIN IMMEDIATE');
  try {
    const meta = readSqliteMeta(db) ?? createTables(db, newMeta(partitions));
    db.exec('COMMIT');
    return meta;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Gives the log in this file a new history. Durable when it returns. No process may have the log open. */
export function renewFileHistory(file: string, history: string): void {
  const db = new DatabaseSync(file, { timeout: 10_000 });
  try {
    const meta = readSqliteMeta(db);
    if (meta === undefined) throw new LogMismatch(`${file} does not contain a log`);
    checkLogMeta(meta, undefined);
    db.exec('PRAGMA synchronous = FULL');
    db.prepare(`UPDATE ${META_TABLE} SET history = ?`).run(history);
  } finally {
    db.close();
  }
}

/** Creates a table per partition. The position is the row id, so that no second index is needed. */
export function createTables(db: DatabaseSyncInstance, meta: LogMeta): LogMeta {
  db.exec(
    `CREATE TABLE ${META_TABLE} (id TEXT NOT NULL, history TEXT NOT NULL, partitions INTEGER NOT NULL,
      format INTEGER NOT NULL) STRICT`,
  );
  const { id, history, partitions, format } = meta;
  db.prepare(`INSERT INTO ${META_TABLE} VALUES (?, ?, ?, ?)`).run(id, history, partitions, format);
  for (let partition = 0; partition < partitions; partition++)
    db.exec(`CREATE TABLE ${tableOf(partition)} (position INTEGER PRIMARY KEY, id TEXT NOT NULL,
      epoch INTEGER NOT NULL, recordedAt TEXT NOT NULL, firstOffset INTEGER NOT NULL, size INTEGER NOT NULL,
      root TEXT NOT NULL, frontier TEXT, hash TEXT NOT NULL, leaves BLOB NOT NULL) STRICT`);
  return meta;
}
