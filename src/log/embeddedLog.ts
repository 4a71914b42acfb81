import { Worker } from 'node:worker_threads';
import { connectThread, type Remote } from '../base/workerThreads.js';
import type { CheckpointApi } from './checkpointWorker.js';
import { pack, unpack } from './commit.js';
import {
  AppendError,
  type Commit,
  type EventLog,
  HoleError,
  type Outcome,
  type Place,
  StorageError,
} from './log.js';
import { createStoreApi, type StoreApi, type StoreOptions } from './logFile.js';
import { LogMismatch } from './logMeta.js';

/** The write-ahead log is folded into the database each time it has grown by this much. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024;
/** Once it has grown by this much, answers to appends wait for that to be done. */
const MAX_WAL_BYTES = 64 * 1024 * 1024;

/** Which file, and how. */
export interface SqliteLogOptions {
  readonly file: string;
  /** A new log is made with this many, 1 if not given; one that exists must have them. */
  readonly partitions?: number;
  /** Beside a running server: nothing is written, and `append` throws `AppendError`. */
  readonly readOnly?: boolean;
  /** Reads and appends block the thread that opens it, which is one that does nothing else. */
  readonly inThisThread?: boolean;
}

/**
 * The embedded log, in threads of its own unless it is asked to stay in this one. Throws `LogMismatch` if it is not as asked for, `StorageError`
 * if the file cannot be used. One process at a time may write to it; others may read beside.
 */
export async function openSqliteLog(asked: SqliteLogOptions): Promise<EventLog> {
  const { file, partitions, readOnly = false } = asked;
  const { store, stop: end } = (asked.inThisThread ? openStoreHere : startStoreThread)({
    file,
    partitions,
    readOnly,
  });
  const meta = await store.open().catch(async (error: unknown) => {
    await end();
    throw reviveError(error);
  });
  return new SqliteLog(
    meta.logId,
    meta.partitions,
    end,
    store,
    readOnly ? undefined : new Checkpointer(file, store),
  );
}

interface RunningStore {
  readonly store: Remote<StoreApi>;
  /** Once the store is closed. */
  stop(): Promise<unknown>;
}

function startStoreThread(options: StoreOptions): RunningStore {
  const thread = new Worker(new URL('./logWorker.js', import.meta.url), { workerData: options });
  return { store: connectThread<StoreApi>(thread), stop: () => thread.terminate() };
}

function openStoreHere(options: StoreOptions): RunningStore {
  const api = createStoreApi(options);
  const store: Remote<StoreApi> = {
    open: async () => api.open(),
    append: async (commit) => api.append(commit),
    read: async (partition, after, limit) => api.read(partition, after, limit),
    places: async (partition, positions) => api.places(partition, positions),
    tail: async (partition) => api.tail(partition),
    checkpoint: async () => api.checkpoint(),
    close: async () => api.close(),
  };
  return { store, stop: async () => {} };
}

class SqliteLog implements EventLog {
  #closed: Promise<void> | undefined;

  constructor(
    readonly id: string,
    readonly partitions: number,
    private readonly end: () => Promise<unknown>,
    private readonly store: Remote<StoreApi>,
    private readonly checkpointer: Checkpointer | undefined,
  ) {}

  async append(commit: Commit): Promise<Outcome> {
    const { outcome, walGrowth } = await this.#call(() => this.store.append(pack(commit)));
    await this.checkpointer?.checkpointIfGrown(walGrowth);
    return outcome.kind === 'lost' ? { kind: 'lost', to: unpack(outcome.to) } : outcome;
  }

  async read(partition: number, after: number, limit: number): Promise<Commit[]> {
    const commits = await this.#call(() => this.store.read(partition, after, limit));
    return commits.map(unpack);
  }

  places(partition: number, positions: readonly number[]): Promise<Place[]> {
    return this.#call(() => this.store.places(partition, positions));
  }

  async tail(partition: number): Promise<Commit | undefined> {
    const commit = await this.#call(() => this.store.tail(partition));
    return commit && unpack(commit);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.checkpointer?.close();
    // The thread takes calls in turn: what was asked before has been answered when this is.
    await this.store.close().catch((error: unknown) => Promise.reject(reviveError(error)));
    await this.end();
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StorageError('the log is closed');
    if (this.checkpointer?.failed) throw this.checkpointer.failed;
    try {
      return await call();
    } catch (error) {
      throw reviveError(error);
    }
  }
}

/**
 * Keeps the write-ahead log short without holding up appends: a thread of its own moves the bulk into the
 * database, then the appender moves the short rest, so that its next append starts the file over.
 */
class Checkpointer {
  /** Set when a checkpoint failed: the disk is not to be trusted any more. */
  failed: StorageError | undefined;
  readonly #thread: Worker;
  readonly #worker: Remote<CheckpointApi>;
  #running: Promise<void> | undefined;

  constructor(
    file: string,
    private readonly store: Remote<StoreApi>,
  ) {
    this.#thread = new Worker(new URL('./checkpointWorker.js', import.meta.url), { workerData: file });
    this.#worker = connectThread<CheckpointApi>(this.#thread);
  }

  async checkpointIfGrown(bytes: number): Promise<void> {
    if (bytes < CHECKPOINT_BYTES) return;
    this.#running ??= this.#run();
    if (bytes >= MAX_WAL_BYTES) await this.#running;
  }

  async close(): Promise<void> {
    await this.#running;
    // If it cannot close it has failed before, which has been told; it ends all the same.
    await Promise.allSettled([this.#worker.close()]);
    await this.#thread.terminate();
  }

  async #run(): Promise<void> {
    try {
      await this.#worker.checkpoint();
      await this.store.checkpoint();
    } catch (error) {
      this.failed = new StorageError('the log could not be checkpointed', { cause: error });
    }
    this.#running = undefined;
  }
}

/** Errors lose their class between threads; whatever has no other meaning says that the store failed. */
function reviveError(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === 'AppendError') return new AppendError(message);
  if (name === 'LogMismatch') return new LogMismatch(message);
  if (name === 'RangeError') return new RangeError(message);
  if (isHole(error)) return new HoleError(error.partition, error.missing);
  return new StorageError(message, { cause: error });
}

const isHole = (error: unknown): error is Pick<HoleError, 'partition' | 'missing'> =>
  error instanceof Error && error.name === 'HoleError' && 'partition' in error && 'missing' in error;
