import { chmodSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';

/** Another live process owns the data directory. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
}

/** A data directory that this process owns. */
export interface DataDirLock {
  release(): void;
}

// Holds a reference to each lock: a collected connection would close and release it.
const openLocks = new Set<DatabaseSyncInstance>();
const SQLITE_BUSY = 5;

/**
 * Takes the data directory for this process; creates it, private to its owner (0700), if missing. Throws
 * `DataDirInUse` if another process has it. The lock is an exclusive SQLite transaction on the file `lock`.
 * The operating system releases it when the process ends, for whatever reason.
 */
export function lockDataDir(dir: string): DataDirLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const db = new DatabaseSync(join(dir, 'lock'), { timeout: 0 });
  try {
    // The file stores nothing. Without a journal, a killed process leaves nothing to roll back.
    db.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new DataDirInUse(`the data directory ${resolve(dir)} is in use by another process`, {
        cause: error,
      });
    throw error;
  }
  openLocks.add(db);
  return {
    release() {
      if (openLocks.delete(db)) db.close();
    },
  };
}
