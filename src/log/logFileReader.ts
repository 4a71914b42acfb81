import { pathToFileURL } from 'node:url';
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite';
import { type PackedCommit, unpack } from './commit.js';
import { type Commit, HoleError, MAX_READ_BYTES, type Place, StorageError } from './log.js';
import {
  checkLogMeta,
  checkPartition,
  type LogMeta,
  LogMismatch,
  readSqliteMeta,
  tableOf,
} from './logMeta.js';

interface Row extends Omit<PackedCommit, 'partition' | 'text' | 'frontier'> {
  frontier: string | null;
  leaves: Uint8Array;
}

/** Runs `work` with the errors of `wrapSqliteError`. */
export function wrapSqliteErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw wrapSqliteError(error);
  }
}

/** Turns an error of SQLite into a `StorageError` that keeps the cause. Returns any other error as it is. */
export const wrapSqliteError = (error: unknown): unknown =>
  error instanceof Error && 'errcode' in error
    ? new StorageError(`reading or writing the log file failed: ${error.message}`, { cause: error })
    : error;

/** Reads packed commits over one connection. */
export class CommitRows {
  readonly #pages = new Map<number, StatementSyncInstance>();
  readonly #tails = new Map<number, StatementSyncInstance>();
  readonly #places = new Map<number, StatementSyncInstance>();

  constructor(
    private readonly db: DatabaseSyncInstance,
    private readonly partitions: number,
  ) {}

  /** See `EventLog.read`. Stops early at `MAX_READ_BYTES`. */
  read(partition: number, after: number, limit: number): PackedCommit[] {
    const sql = (table: string) => `SELECT * FROM ${table} WHERE position > ? ORDER BY position LIMIT ?`;
    const commits: PackedCommit[] = [];
    if (limit < 1) return commits;
    let bytes = 0;
    return wrapSqliteErrors(() => {
      for (const row of this.#prepare(this.#pages, partition, sql).iterate(after, limit)) {
        const commit = fromRow(partition, row);
        const expected = after + commits.length + 1;
        if (commit.position !== expected) throw new HoleError(partition, expected);
        commits.push(commit);
        bytes += row.leaves.byteLength;
        if (bytes >= MAX_READ_BYTES) break;
      }
      return commits;
    });
  }

  /** See `EventLog.tail`. */
  tail(partition: number): PackedCommit | undefined {
    const sql = (table: string) => `SELECT * FROM ${table} ORDER BY position DESC LIMIT 1`;
    const row: Row | undefined = wrapSqliteErrors(() => this.#prepare(this.#tails, partition, sql).get());
    return row && fromRow(partition, row);
  }

  /** See `EventLog.places`. Leaves are the last column, so that their pages are not read. */
  places(partition: number, positions: readonly number[]): Place[] {
    const sql = (table: string) =>
      `SELECT position, recordedAt, firstOffset, size FROM ${table} ` +
      'WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position';
    return wrapSqliteErrors(() => this.#prepare(this.#places, partition, sql).all(JSON.stringify(positions)));
  }

  #prepare(
    cache: Map<number, StatementSyncInstance>,
    partition: number,
    sql: (table: string) => string,
  ): StatementSyncInstance {
    const known = cache.get(partition);
    if (known) return known;
    checkPartition(partition, this.partitions);
    const made = this.db.prepare(sql(tableOf(partition)));
    cache.set(partition, made);
    return made;
  }
}

function fromRow(partition: number, row: Row): PackedCommit {
  const { frontier, leaves, position, id, epoch, recordedAt, firstOffset, size, root, hash } = row;
  const text = Buffer.from(leaves.buffer, leaves.byteOffset, leaves.byteLength).toString();
  const fields = { partition, position, id, epoch, recordedAt, firstOffset, size, root, hash, text };
  return frontier === null ? fields : { ...fields, frontier: JSON.parse(frontier) };
}

/** A read-only connection to an existing log. */
export interface LogFile {
  readonly meta: LogMeta;
  readonly rows: CommitRows;
  close(): void;
}

/**
 * Opens an existing log file. Throws `StorageError` if there is none, `LogMismatch` if it differs from the
 * arguments.
 */
function openLogFile(file: string, partitions?: number): LogFile {
  const db = wrapSqliteErrors(() => new DatabaseSync(file, { readOnly: true, timeout: 10_000 }));
  try {
    const meta = wrapSqliteErrors(() => readSqliteMeta(db));
    if (!meta) throw new StorageError(`${file} does not contain a log`);
    checkLogMeta(meta, partitions);
    return { meta, rows: new CommitRows(db, meta.partitions), close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Throws `LogMismatch` if the file holds a log that cannot be opened with this number of partitions. Writes nothing,
 * not even the files that SQLite makes beside a database that it only reads. Without its write-ahead log the file may
 * be unreadable: then `openSqliteLog` decides.
 */
export function checkLogFile(file: string, partitions?: number): void {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  let db: DatabaseSyncInstance | undefined;
  try {
    db = new DatabaseSync(url, { readOnly: true });
    const meta = readSqliteMeta(db);
    if (meta) checkLogMeta(meta, partitions);
  } catch (error) {
    if (error instanceof LogMismatch) throw error;
  } finally {
    db?.close();
  }
}

/** A log file read from the calling thread, over its own connection. Shows each commit once it is durable. */
export interface LogReader {
  readonly id: string;
  readonly history: string;
  readonly partitions: number;
  /** See `EventLog.read`. */
  read(partition: number, after: number, limit: number): Commit[];
  /** See `EventLog.places`. */
  places(partition: number, positions: readonly number[]): Place[];
  /** See `EventLog.tail`. */
  tail(partition: number): Commit | undefined;
  close(): void;
}

/**
 * Opens an existing log to read only. Each call blocks the thread. Throws `StorageError` or `LogMismatch`.
 */
export function openLogReader(file: string): LogReader {
  const { meta, rows, close } = openLogFile(file);
  return {
    id: meta.id,
    history: meta.history,
    partitions: meta.partitions,
    read: (partition, after, limit) => rows.read(partition, after, limit).map(unpack),
    places: (partition, positions) => rows.places(partition, positions),
    tail(partition) {
      const commit = rows.tail(partition);
      return commit && unpack(commit);
    },
    close,
  };
}

/** Creates the functions of the thread that reads a log. Opens the file only with `open`. */
export function createReadApi({ file, partitions }: { file: string; partitions: number | undefined }) {
  let log: LogFile | undefined;
  const rows = (): CommitRows => {
    if (!log) throw new Error('the log is not open');
    return log.rows;
  };
  return {
    open() {
      log = openLogFile(file, partitions);
      return log.meta;
    },
    read: (partition: number, after: number, limit: number) => rows().read(partition, after, limit),
    places: (partition: number, positions: readonly number[]) => rows().places(partition, positions),
    tail: (partition: number) => rows().tail(partition),
    close: () => log?.close(),
  };
}

/** The functions that this thread serves. */
export type ReadApi = ReturnType<typeof createReadApi>;
