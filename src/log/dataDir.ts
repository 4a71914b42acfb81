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

// A lock that nobody refers to would be collected, its connection closed and the directory given away.
const openLocks = new Set<DatabaseSyncInstance>();
const SQLITE_BUSY = 5;

/**
 * Makes the directory if it is not there, private to its owner (0700), and takes it for this process; throws
 * `DataDirInUse` if another one has it. It is an exclusive transaction on the file `lock` in it, which is a
 * lock of the operating system: it ends with the process, however that ends, and means no process id.
 */
export function lockDataDir(dir: string): DataDirLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const db = new DatabaseSync(join(dir, 'lock'), { timeout: 0 });
  try {
    // Nothing is ever stored in it: without a journal a killed process leaves nothing to be undone.
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
