import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite';
import type { SlottedCommit } from './appendSlots.js';
import type { PackedCommit } from './commit.js';
import { AppendError, type Commit, outcomeOf, StorageError } from './log.js';
import { CommitRows, wrapSqliteError, wrapSqliteErrors } from './logFileReader.js';
import {
  checkLogMeta,
  checkPartition,
  createTables,
  type LogMeta,
  META_TABLE,
  openSqliteMeta,
  readSqliteMeta,
  tableOf,
} from './logMeta.js';

/** As `Outcome`, with packed commits. */
export type PackedOutcome = { kind: 'committed' } | { kind: 'lost'; to: PackedCommit };

/** In pages of 4,096 bytes a fifth of the file would be empty: a commit under load has about that size. */
const PAGE_BYTES = 8192;
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555;
/** A write-ahead log longer than this is truncated after a checkpoint. */
const MAX_KEPT_WAL_BYTES = 64 * 1024 * 1024;

/**
 * Writes the embedded log's file from the calling thread, which each call blocks. A commit is durable when
 * `append` returns: SQLite syncs its write-ahead log at every COMMIT (`FULL`).
 */
export class SqliteStore {
  readonly meta: LogMeta;
  readonly #db: DatabaseSyncInstance;
  /** Reads over the same connection. */
  readonly rows: CommitRows;
  readonly #inserts = new Map<number, StatementSyncInstance>();
  /** The last position known to be taken, by partition. Saves reading the tail before each append. */
  readonly #lastPositions = new Map<number, number>();
  /** Set by a disk failure. Nothing is written afterwards, because a failed fsync must not be retried. */
  #failed: StorageError | undefined;
  /** The approximate growth of the write-ahead log in bytes since the last checkpoint on this connection. */
  walGrowth = 0;

  /** Opens the log, or creates it with `partitions` (default 1). Throws `LogMismatch` or `StorageError`. */
  constructor(file: string, partitions?: number) {
    syncWal(`${file}-wal`);
    this.#db = wrapSqliteErrors(() => new DatabaseSync(file, { timeout: 10_000 }));
    try {
      wrapSqliteErrors(() =>
        this.#db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = ${MAX_KEPT_WAL_BYTES}`),
      );
      this.meta = wrapSqliteErrors(() => openSqliteMeta(this.#db, partitions ?? 1));
      checkLogMeta(this.meta, partitions);
      this.rows = new CommitRows(this.#db, this.meta.partitions);
      this.#checkpoint();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** See `EventLog.append`. Throws its errors. */
  append(commit: SlottedCommit): PackedOutcome {
    const [outcome] = this.appendAll([commit]);
    if (outcome === undefined || outcome instanceof Error) throw outcome;
    return outcome;
  }

  /** Appends commits of different partitions with one sync. An error concerns its own commit, or all of them. */
  appendAll(commits: readonly SlottedCommit[]): (PackedOutcome | Error)[] {
    try {
      if (this.#failed) throw this.#failed;
      const [only] = commits;
      // One statement is a transaction of its own.
      return only && commits.length === 1 ? [this.#append(only)] : this.#inTransaction(commits);
    } catch (error) {
      const failure = this.#failStop(error);
      return commits.map(() => failure);
    }
  }

  /**
   * Moves the rest of the write-ahead log into the database. If nothing remains, the next append reuses the
   * file. Fast if another connection has just moved most of it.
   */
  checkpoint(): void {
    if (this.#failed) throw this.#failed;
    try {
      this.#checkpoint();
    } catch (error) {
      throw this.#failStop(error);
    }
  }

  close(): void {
    // Gives the space of the write-ahead log back. A reader beside it can prevent that, which harms nothing.
    if (!this.#failed)
      wrapSqliteErrors(() => {
        this.#db.exec('PRAGMA busy_timeout = 200');
        this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
      });
    this.#db.close();
  }

  #checkpoint(): void {
    wrapSqliteErrors(() => this.#db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get());
    this.walGrowth = 0;
  }

  #inTransaction(commits: readonly SlottedCommit[]): (PackedOutcome | Error)[] {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const outcomes = commits.map((commit) => this.#append(commit));
      this.#db.exec('COMMIT');
      return outcomes;
    } finally {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    }
  }

  /** Throws only what must stop the process. */
  #append(commit: SlottedCommit): PackedOutcome | Error {
    const { partition, position, frontier, leaves } = commit;
    try {
      const insert = this.#inserts.get(partition) ?? this.#prepareInsert(partition);
      if (position !== (this.#lastPositions.get(partition) ?? 0) + 1) this.#checkPosition(commit);
      insert.run(
        position,
        commit.id,
        commit.epoch,
        commit.recordedAt,
        commit.firstOffset,
        commit.size,
        commit.root,
        frontier ? JSON.stringify(frontier) : null,
        commit.hash,
        leaves,
      );
    } catch (error) {
      return this.#outcomeOfFailure(commit, error);
    }
    this.#lastPositions.set(partition, position);
    // The pages of the row and one of the tree above it, each after a header of 24 bytes.
    this.walGrowth += (Math.ceil(leaves.length / PAGE_BYTES) + 1) * (PAGE_BYTES + 24);
    return { kind: 'committed' };
  }

  #prepareInsert(partition: number): StatementSyncInstance {
    checkPartition(partition, this.meta.partitions);
    const made = this.#db.prepare(`INSERT INTO ${tableOf(partition)} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#inserts.set(partition, made);
    return made;
  }

  #checkPosition({ partition, position }: SlottedCommit): void {
    if (!Number.isInteger(position) || position < 1)
      throw new AppendError(`position ${position} is not a positive integer`);
    if (position <= (this.#lastPositions.get(partition) ?? 0) + 1) return;
    const tail = this.rows.tail(partition)?.position ?? 0;
    this.#lastPositions.set(partition, tail);
    if (position > tail + 1)
      throw new AppendError(`partition ${partition} ends at ${tail}: position ${position} does not follow`);
  }

  /** The outcome of a commit whose insertion failed. Throws only what must stop the process. */
  #outcomeOfFailure(commit: SlottedCommit, error: unknown): PackedOutcome | Error {
    if (error instanceof AppendError || error instanceof RangeError) return error;
    const isTaken =
      error instanceof Error && 'errcode' in error && error.errcode === SQLITE_CONSTRAINT_PRIMARYKEY;
    if (!isTaken) throw error;
    const [there] = this.rows.read(commit.partition, commit.position - 1, 1);
    if (!there)
      throw new StorageError(
        `position ${commit.position} is taken but has no commit; the log file is damaged`,
      );
    try {
      const { kind } = outcomeOf<Pick<Commit, 'id' | 'hash'>>(commit, there);
      return kind === 'lost' ? { kind, to: there } : { kind };
    } catch (mismatch) {
      if (mismatch instanceof AppendError) return mismatch;
      throw mismatch;
    }
  }

  /** Returns the error to tell the caller. After a failure of the disk nothing is written any more. */
  #failStop(error: unknown): Error {
    const failure = wrapSqliteError(error);
    if (failure instanceof StorageError) this.#failed = failure;
    return failure instanceof Error ? failure : new StorageError(String(failure));
  }
}

/** A log at one moment. */
export interface LogEnd {
  readonly meta: LogMeta;
  /** The last commit of each partition. */
  readonly ends: readonly Pick<Commit, 'position' | 'size' | 'hash' | 'recordedAt'>[];
}

/**
 * Reads the end of the log in this file, of all partitions at one moment. Throws `StorageError` and `LogMismatch`; also
 * while a partition is empty, which is so only during the first start of a server.
 */
export function readLogEnd(file: string): LogEnd {
  return wrapSqliteErrors(() => {
    const db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 });
    try {
      db.exec('BEGIN');
      const meta = readSqliteMeta(db);
      if (meta === undefined) throw new StorageError(`${file} does not contain a log`);
      checkLogMeta(meta, undefined);
      const rows = new CommitRows(db, meta.partitions);
      const ends = Array.from({ length: meta.partitions }, (_, partition) => {
        const tail = rows.tail(partition);
        if (tail === undefined)
          throw new StorageError(`partition ${partition} has no commit yet; wait until the server is ready`);
        const { position, size, hash, recordedAt } = tail;
        return { position, size, hash, recordedAt };
      });
      return { meta, ends };
    } finally {
      db.close();
    }
  });
}

/** Creates an empty log with this description in a file, unless it has one. The history becomes the given one. */
export function createLogFile(file: string, meta: LogMeta): void {
  wrapSqliteErrors(() => {
    const db = new DatabaseSync(file, { timeout: 10_000 });
    try {
      db.exec(
        `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN`,
      );
      if (readSqliteMeta(db) === undefined) createTables(db, meta);
      else db.prepare(`UPDATE ${META_TABLE} SET history = ?`).run(meta.history);
      db.exec('COMMIT');
    } finally {
      db.close();
    }
  });
}

/** Commits that are copied in one step. Each step is a short read, so that the log's file is not held at one state. */
const COPY_COMMITS = 256;

/** Copies a log up to this end into a new file, while a server may append to it. The caller syncs the file. */
export async function copyLogFile(from: string, to: string, { meta, ends }: LogEnd): Promise<void> {
  const source = pathToFileURL(from);
  source.searchParams.set('mode', 'ro');
  const db = wrapSqliteErrors(() => new DatabaseSync(to, { timeout: 10_000 }));
  try {
    // A copy that was cut off is deleted, so that it needs no journal.
    wrapSqliteErrors(() =>
      db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF`),
    );
    wrapSqliteErrors(() => createTables(db, meta));
    wrapSqliteErrors(() => db.prepare('ATTACH ? AS source').run(source.href));
    for (const [partition, { position }] of ends.entries()) {
      const table = tableOf(partition);
      const copy = db.prepare(
        `INSERT INTO main.${table} SELECT * FROM source.${table} WHERE position > ? AND position <= ? ORDER BY position`,
      );
      for (let after = 0; after < position; after += COPY_COMMITS) {
        wrapSqliteErrors(() => copy.run(after, Math.min(position, after + COPY_COMMITS)));
        await turn();
      }
    }
  } finally {
    db.close();
  }
}

/**
 * Syncs commits that a killed process left in the kernel's cache. They will be read, and repeats
 * acknowledged, so they must be durable first. SQLite holds no lock on this file, so closing it here releases
 * none.
 */
function syncWal(wal: string): void {
  if (!existsSync(wal)) return;
  const fd = openSync(wal, 'r');
  try {
    fsyncSync(fd);
  } catch (error) {
    throw new StorageError(`${wal} could not be synced`, { cause: error });
  } finally {
    closeSync(fd);
  }
}
