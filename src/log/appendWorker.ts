import { parentPort, workerData } from 'node:worker_threads';
import { encodeError, type WireError } from '../base/workerThreads.js';
import { AppendSlots, type SlotCall } from './appendSlots.js';
import { type PackedOutcome, SqliteStore } from './logFile.js';
import type { LogMeta } from './logMeta.js';

/** The start parameters of the thread that appends. */
export interface AppendThreadData {
  readonly file: string;
  readonly partitions: number | undefined;
  readonly memory: SharedArrayBuffer;
}

/** The result of one call. */
export type SlotResult = { readonly slot: number } & (
  | { readonly outcome: PackedOutcome; readonly walGrowth: number }
  | { readonly isDone: true }
  | { readonly error: WireError }
);

/** A message of the thread. The first one tells whether the log is open. */
export type FromAppendThread =
  | { readonly opened: LogMeta }
  | { readonly failed: WireError }
  | { readonly results: readonly SlotResult[] };

// `AppendThread.open` passes this.
const data = workerData as AppendThreadData;
const send = (message: FromAppendThread): void => parentPort?.postMessage(message);

/** Opens the log and serves calls until one closes it. It must do nothing else, because it sleeps between them. */
function run(): void {
  let store: SqliteStore;
  try {
    store = new SqliteStore(data.file, data.partitions);
  } catch (error) {
    return send({ failed: encodeError(error) });
  }
  send({ opened: store.meta });
  const slots = new AppendSlots(data.memory);
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

run();
