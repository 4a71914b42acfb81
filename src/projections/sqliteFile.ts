import { DatabaseSync, type StatementSyncInstance } from '@photostructure/sqlite';
import { StorageError } from '../log/log.js';

// SQLite's primary result codes after which writing on would lose data or never succeed.
const mustStop = new Set([
  8 /* READONLY */, 10 /* IOERR */, 11 /* CORRUPT */, 13 /* FULL */, 26 /* NOTADB */,
]);

/** A connection to one file whose statements are prepared once each. Synchronous: for worker threads. */
export class SqliteFile {
  private readonly db: InstanceType<typeof DatabaseSync>;
  // Bounded by the tables there are and the shapes of query this code can make.
  private readonly prepared = new Map<string, StatementSyncInstance>();

  constructor(path: string, options: { readonly readOnly?: boolean; readonly pragmas: readonly string[] }) {
    // Another connection may hold the write lock for as long as one transaction of a projector takes.
    this.db = new DatabaseSync(path, { readOnly: options.readOnly ?? false, timeout: 10_000 });
    for (const pragma of options.pragmas) this.db.exec(`PRAGMA ${pragma}`);
  }

  exec(sql: string): void {
    this.db.exec(sql);
  }

  statement(sql: string): StatementSyncInstance {
    const known = this.prepared.get(sql);
    if (known) return known;
    const made = this.db.prepare(sql);
    made.setReturnArrays(true);
    this.prepared.set(sql, made);
    return made;
  }

  /**
   * Runs `work` in one transaction: all of it is written or none. A full or broken disk becomes a
   * `StorageError`, after which the process must stop; other errors pass as they are.
   */
  transaction<T>(kind: 'read' | 'write', work: () => T): T {
    try {
      this.exec(kind === 'write' ? 'BEGIN IMMEDIATE' : 'BEGIN');
      const result = work();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      // After some errors SQLite has rolled back by itself.
      if (this.db.isTransaction) this.exec('ROLLBACK');
      throw asStorageError(error);
    }
  }

  /** Forgets statements, whose tables may be gone, and runs `sql`. */
  change(sql: string): void {
    this.prepared.clear();
    this.exec(sql);
  }

  close(): void {
    this.prepared.clear();
    this.db.close();
  }
}

function asStorageError(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error;
  // The low byte of an extended result code is the primary one.
  const primary = Number(error.errcode) & 0xff;
  return mustStop.has(primary)
    ? new StorageError(`the read models cannot be written: ${error.message}`, { cause: error })
    : error;
}

/** A name as SQL writes it. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
