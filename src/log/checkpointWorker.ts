import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { serveThread } from '../base/workerThreads.js';
import { wrapSqliteErrors } from './logFileReader.js';

function createApi(file: string) {
  const db = wrapSqliteErrors(() => new DatabaseSync(file, { timeout: 10_000 }));
  db.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0');
  const passive = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  return {
    /** Moves commits from the write-ahead log into the database without delaying appends. */
    checkpoint(): void {
      // Moves the much smaller part that was appended during the first pass.
      wrapSqliteErrors(() => passive.get());
      wrapSqliteErrors(() => passive.get());
    },
    close: () => db.close(),
  };
}

/** The functions this thread serves. */
export type CheckpointApi = ReturnType<typeof createApi>;

if (parentPort) serveThread(parentPort, createApi(workerData));
