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
  type PlaceAfter,
  readEach,
  StorageError,
} from './log.js';
import { createStoreApi, type StoreApi, type StoreOptions } from './logFile.js';
import { type LogMeta, LogMismatch } from './logMeta.js';

/** Growth of the write-ahead log after which it is checkpointed. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024;
/** Growth beyond which appends wait for the checkpoint to finish. */
const MAX_WAL_BYTES = 64 * 1024 * 1024;

/** The file of an embedded log, and how to open it. */
export interface SqliteLogOptions {
  readonly file: string;
  /** The partitions of a new log; default 1. An existing log must have this number. */
  readonly partitions?: number;
  /** For use beside a running server: nothing is written, and `append` throws `AppendError`. */
  readonly readOnly?: boolean;
  /** Blocks the calling thread during reads and appends, so that thread should do nothing else. */
  readonly inThisThread?: boolean;
}

/**
 * Opens the embedded log, in its own threads unless `inThisThread` is set. Throws `LogMismatch` if the log
 * differs from the options, `StorageError` if the file is unusable. One process may write at a time. Others
 * may read beside it.
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
  return new SqliteLog(meta, end, store, readOnly ? undefined : new Checkpointer(file, store));
}

interface RunningStore {
  readonly store: Remote<StoreApi>;
  /** Called once the store is closed. */
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
    private readonly meta: LogMeta,
    private readonly end: () => Promise<unknown>,
    private readonly store: Remote<StoreApi>,
    private readonly checkpointer: Checkpointer | undefined,
  ) {}

  get id(): string {
    return this.meta.id;
  }

  get history(): string {
    return this.meta.history;
  }

  get partitions(): number {
    return this.meta.partitions;
  }

  async append(commit: Commit): Promise<Outcome> {
    const { outcome, walGrowth } = await this.#call(() => this.store.append(pack(commit)));
    await this.checkpointer?.checkpointIfGrown(walGrowth);
    return outcome.kind === 'lost' ? { kind: 'lost', to: unpack(outcome.to) } : outcome;
  }

  async read(partition: number, after: number, limit: number): Promise<Commit[]> {
    const commits = await this.#call(() => this.store.read(partition, after, limit));
    return commits.map(unpack);
  }

  readNext(places: readonly PlaceAfter[], limit: number): Promise<Commit[]> {
    return readEach(this, places, limit);
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
    // The thread handles calls in order, so that earlier calls have been answered by then.
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
 * Keeps the write-ahead log short without delaying appends. Its own thread moves most of the commits into the
 * database. Then the appender moves the few that remain, so that its next append reuses the file.
 */
class Checkpointer {
  /** Set after a failed checkpoint: the disk cannot be trusted any more. */
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
    // A failure to close follows an earlier failure, which was reported.
    await Promise.allSettled([this.#worker.close()]);
    await this.#thread.terminate();
  }

  async #run(): Promise<void> {
    try {
      await this.#worker.checkpoint();
      await this.store.checkpoint();
    } catch (error) {
      this.failed = new StorageError(
        'the write-ahead log could not be moved into the database; check the disk, then restart',
        { cause: error },
      );
    }
    this.#running = undefined;
  }
}

/** Restores the class of an error from another thread. Any other error becomes a `StorageError`. */
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
