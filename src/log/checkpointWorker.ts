import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { serve } from '../base/rpc.js';
import { storage } from './logFileReader.js';

function makeApi(file: string) {
  const db = storage(() => new DatabaseSync(file, { timeout: 10_000 }));
  db.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0');
  const passive = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  return {
    /** Moves commits from the write-ahead log into the database without holding up appends. */
    checkpoint(): void {
      // The second time takes what was appended during the first, which is much less.
      storage(() => passive.get());
      storage(() => passive.get());
    },
    close: () => db.close(),
  };
}

/** What this thread offers. */
export type CheckpointApi = ReturnType<typeof makeApi>;

if (parentPort) serve(parentPort, makeApi(workerData));
