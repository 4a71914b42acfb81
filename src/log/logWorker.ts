import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { assertNever } from '../base/errors.js';
import { encodeError, serveThread, type WireError } from '../base/workerThreads.js';
import { AppendSlots, type SlotCall, type SlottedCommit } from './appendSlots.js';
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

/** The first message of the thread that appends. Each later one is a list of `SlotResult`. */
export type OpenedLog = { readonly opened: LogMeta } | { readonly failed: WireError };

/** Opens the log and serves calls until one closes it. The thread must do nothing else: it sleeps between them. */
function serveAppends({ file, partitions, memory }: AppendThreadData): void {
  const send = (message: OpenedLog): void => parentPort?.postMessage(message);
  let store: SqliteStore;
  try {
    store = new SqliteStore(file, partitions);
  } catch (error) {
    return send({ failed: encodeError(error) });
  }
  send({ opened: store.meta });
  const slots = new AppendSlots(memory);
  while (!handleCalls(store, slots.take()));
}

/** Handles calls, appends first, and sends the results. Returns whether the log was closed. */
function handleCalls(store: SqliteStore, calls: readonly SlotCall[]): boolean {
  const results: SlotResult[] = [];
  const controls: Exclude<SlotCall, { kind: 'append' }>[] = [];
  const commits: SlottedCommit[] = [];
  const slots: number[] = [];
  for (const call of calls)
    if (call.kind === 'append') {
      commits.push(call.commit);
      slots.push(call.slot);
    } else controls.push(call);
  if (commits.length > 0)
    for (const [i, outcome] of store.appendAll(commits).entries()) {
      const slot = slots[i] ?? 0;
      if (outcome instanceof Error) results.push({ slot, error: encodeError(outcome) });
      else results.push({ slot, outcome, walGrowth: store.walGrowth });
    }
  let isClosed = false;
  for (const { slot, kind } of controls) {
    isClosed ||= kind === 'close';
    try {
      if (kind === 'checkpoint') store.checkpoint();
      else store.close();
      results.push({ slot, isDone: true });
    } catch (error) {
      results.push({ slot, error: encodeError(error) });
    }
  }
  parentPort?.postMessage(results);
  return isClosed;
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
