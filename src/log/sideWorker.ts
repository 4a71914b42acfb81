import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { serveThread } from '../base/workerThreads.js';
import { createReadApi, wrapSqliteErrors } from './logFileReader.js';

/** The start parameters of a thread beside the one that appends. */
export type SideThreadData =
  | { readonly serves: 'reads'; readonly file: string; readonly partitions: number | undefined }
  | { readonly serves: 'checkpoints'; readonly file: string };

function createCheckpointApi(file: string) {
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

/** The functions of a thread that serves checkpoints. */
export type CheckpointApi = ReturnType<typeof createCheckpointApi>;

// `startSideThread` passes this.
const data = workerData as SideThreadData;
if (parentPort)
  serveThread(parentPort, data.serves === 'reads' ? createReadApi(data) : createCheckpointApi(data.file));
