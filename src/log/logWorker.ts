import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { assertNever } from '../base/errors.js';
import { encodeError, serveThread, type WireError } from '../base/workerThreads.js';
import { AppendSlots, type SlotCall } from './appendSlots.js';
import { type PackedOutcome, SqliteStore } from './logFile.js';
import { createReadApi, wrapSqliteErrors } from './logFileReader.js';
import type { LogMeta } from './logMeta.js';

/** The start parameters of a thread of the log, and what it does. */
export type LogThreadData = { readonly file: string } & (
  | { readonly does: 'appends'; readonly partitions: number | undefined; readonly memory: SharedArrayBuffer }
  | { readonly does: 'reads'; readonly partitions: number | undefined }
  | { readonly does: 'checkpoints' }
);

type AppendThreadData = Extract<LogThreadData, { does: 'appends' }>;

/** The result of one call. */
export type SlotResult = { readonly slot: number } & (
  | { readonly outcome: PackedOutcome; readonly walGrowth: number }
  | { readonly isDone: true }
  | { readonly error: WireError }
);

/** A message of the thread that appends. The first one tells whether the log is open. */
export type FromAppendThread =
  | { readonly opened: LogMeta }
  | { readonly failed: WireError }
  | { readonly results: readonly SlotResult[] };

/** Opens the log and serves calls until one closes it. The thread must do nothing else: it sleeps between them. */
function serveAppends({ file, partitions, memory }: AppendThreadData): void {
  const send = (message: FromAppendThread): void => parentPort?.postMessage(message);
  let store: SqliteStore;
  try {
    store = new SqliteStore(file, partitions);
  } catch (error) {
    return send({ failed: encodeError(error) });
  }
  send({ opened: store.meta });
  const slots = new AppendSlots(memory);
  for (let isOpen = true; isOpen; ) {
    const calls = slots.take();
    send({ results: [...appendAll(store, calls), ...calls.flatMap((call) => control(store, call) ?? [])] });
    isOpen = !calls.some(({ kind }) => kind === 'close');
  }
}

function appendAll(store: SqliteStore, calls: readonly SlotCall[]): SlotResult[] {
  const appends = calls.flatMap((call) => (call.kind === 'append' ? [call] : []));
  const outcomes = store.appendAll(appends.map(({ commit }) => commit));
  const { walGrowth } = store;
  return outcomes.map((outcome, i) => {
    const slot = appends[i]?.slot ?? 0;
    return outcome instanceof Error ? { slot, error: encodeError(outcome) } : { slot, outcome, walGrowth };
  });
}

function control(store: SqliteStore, { slot, kind }: SlotCall): SlotResult | undefined {
  if (kind === 'append') return undefined;
  try {
    if (kind === 'checkpoint') store.checkpoint();
    else store.close();
    return { slot, isDone: true };
  } catch (error) {
    return { slot, error: encodeError(error) };
  }
}

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

/** The functions of the thread that checkpoints. */
export type CheckpointApi = ReturnType<typeof createCheckpointApi>;

function serve(data: LogThreadData): void {
  if (!parentPort) return;
  switch (data.does) {
    case 'appends':
      return serveAppends(data);
    case 'reads':
      return serveThread(parentPort, createReadApi(data));
    case 'checkpoints':
      return serveThread(parentPort, createCheckpointApi(data.file));
    default:
      return assertNever(data);
  }
}

serve(workerData as LogThreadData); // `startLogThread` passes this.
