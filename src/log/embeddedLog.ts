import { Worker } from 'node:worker_threads';
import { connectThread, decodeError, type Remote } from '../base/workerThreads.js';
import { AppendSlots, type Asked, SLOTS } from './appendSlots.js';
import { unpack } from './commit.js';
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
import type { ReadApi } from './logFileReader.js';
import { type LogMeta, LogMismatch } from './logMeta.js';
import type { CheckpointApi, LogThreadData, OpenedLog, SlotResult } from './logWorker.js';

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
}

/**
 * Opens the embedded log, in its own threads. Throws `LogMismatch` if the log differs from the options, `StorageError`
 * if the file is unusable. One process may write at a time. Others may read beside it.
 */
export async function openSqliteLog({ file, partitions, readOnly }: SqliteLogOptions): Promise<EventLog> {
  const appender = readOnly ? undefined : await Appender.open(file, partitions);
  const thread = startLogThread({ does: 'reads', file, partitions });
  const reads = connectThread<ReadApi>(thread);
  const end = () => thread.terminate();
  const meta = await reads.open().catch(async (error: unknown) => {
    await Promise.all([end(), appender?.close()]);
    throw reviveError(error);
  });
  return new SqliteLog(meta, { reads, end }, appender);
}

const startLogThread = (workerData: LogThreadData): Worker =>
  new Worker(new URL('./logWorker.js', import.meta.url), { workerData });

/** The thread that reads. */
interface ReadThread {
  readonly reads: Remote<ReadApi>;
  /** Called once the file is closed. */
  readonly end: () => Promise<unknown>;
}

class SqliteLog implements EventLog {
  #closed: Promise<void> | undefined;

  constructor(
    private readonly meta: LogMeta,
    private readonly thread: ReadThread,
    private readonly appender: Appender | undefined,
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
    if (this.#closed) throw new StorageError('the log is closed');
    if (!this.appender) throw new AppendError('the log was opened read-only');
    return this.appender.append(commit);
  }

  async read(partition: number, after: number, limit: number): Promise<Commit[]> {
    const commits = await this.#read((reads) => reads.read(partition, after, limit));
    return commits.map(unpack);
  }

  readNext(places: readonly PlaceAfter[], limit: number): Promise<Commit[]> {
    return readEach(this, places, limit);
  }

  places(partition: number, positions: readonly number[]): Promise<Place[]> {
    return this.#read((reads) => reads.places(partition, positions));
  }

  async tail(partition: number): Promise<Commit | undefined> {
    const commit = await this.#read((reads) => reads.tail(partition));
    return commit && unpack(commit);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.appender?.close();
    // The thread handles calls in order, so that earlier calls have been answered by then.
    await this.thread.reads.close().catch((error: unknown) => Promise.reject(reviveError(error)));
    await this.thread.end();
  }

  #checkUsable(): void {
    if (this.#closed) throw new StorageError('the log is closed');
    if (this.appender?.failed) throw this.appender.failed;
  }

  async #read<T>(read: (reads: Remote<ReadApi>) => Promise<T>): Promise<T> {
    this.#checkUsable();
    try {
      return await read(this.thread.reads);
    } catch (error) {
      throw reviveError(error);
    }
  }
}

interface OpenCall {
  readonly asked: Asked;
  readonly resolve: (result: SlotResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The thread that appends and syncs, and does nothing else. Keeps the write-ahead log short: another thread moves most
 * of the commits into the database, then this one moves the few that remain, so that its next append reuses the file.
 */
class Appender {
  /** Set when nothing can be appended any more: the disk cannot be trusted, or the thread has ended. */
  failed: StorageError | undefined;
  readonly #slots = new AppendSlots();
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);
  /** Calls that wait for a slot. A partition has at most one. */
  readonly #waiting: OpenCall[] = [];
  readonly #open = new Map<number, OpenCall>();
  readonly #thread: Worker;
  readonly #checkpointThread: Worker;
  readonly #checkpointer: Remote<CheckpointApi>;
  #checkpointing: Promise<void> | undefined;
  #isWaking = false;
  #isClosing = false;

  private constructor(file: string, partitions: number | undefined) {
    this.#thread = startLogThread({ does: 'appends', file, partitions, memory: this.#slots.memory });
    this.#checkpointThread = startLogThread({ does: 'checkpoints', file });
    this.#checkpointer = connectThread<CheckpointApi>(this.#checkpointThread);
  }

  /** Starts the threads and opens the log, or creates it. */
  static async open(file: string, partitions: number | undefined): Promise<Appender> {
    const appender = new Appender(file, partitions);
    try {
      await appender.#start();
      return appender;
    } catch (error) {
      await appender.#terminate();
      throw error;
    }
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#thread.once('message', (message: OpenedLog) => {
        if ('failed' in message) return reject(reviveError(decodeError(message.failed)));
        this.#thread.on('message', this.#settle);
        resolve();
      });
      const gone = (cause: unknown) => {
        if (this.#isClosing) return;
        this.failed ??= new StorageError('the thread that writes the log has ended; restart', { cause });
        for (const call of [...this.#open.values(), ...this.#waiting.splice(0)]) call.reject(this.failed);
        this.#open.clear();
        reject(this.failed);
      };
      this.#thread.on('error', gone);
      this.#thread.on('exit', (code) => gone(new Error(`exit code ${code}`)));
    });
  }

  /** See `EventLog.append`. */
  async append(commit: Commit): Promise<Outcome> {
    const result = await this.#call(commit);
    if (!('outcome' in result)) throw new Error('an append has no outcome');
    if (result.walGrowth >= CHECKPOINT_BYTES) await this.#checkpoint(result.walGrowth);
    const { outcome } = result;
    return outcome.kind === 'lost' ? { kind: 'lost', to: unpack(outcome.to) } : outcome;
  }

  /** Waits for calls in progress, then closes the log. */
  async close(): Promise<void> {
    await this.#checkpointing;
    await Promise.allSettled([this.#checkpointer.close()]); // A failure follows an earlier one, which was reported.
    if (!this.failed) await this.#call('close');
    await this.#terminate();
  }

  async #terminate(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([this.#thread.terminate(), this.#checkpointThread.terminate()]);
  }

  async #checkpoint(walBytes: number): Promise<void> {
    this.#checkpointing ??= this.#moveCommits();
    if (walBytes >= MAX_WAL_BYTES) await this.#checkpointing;
  }

  async #moveCommits(): Promise<void> {
    try {
      await this.#checkpointer.checkpoint();
      await this.#call('checkpoint');
    } catch (error) {
      this.failed = new StorageError(
        'the write-ahead log could not be moved into the database; check the disk, then restart',
        { cause: error },
      );
    }
    this.#checkpointing = undefined;
  }

  async #call(asked: Asked): Promise<Exclude<SlotResult, { error: unknown }>> {
    // The slots of calls that a thread has left stay taken.
    if (this.failed) throw this.failed;
    const result = await new Promise<SlotResult>((resolve, reject) => {
      this.#waiting.push({ asked, resolve, reject });
      this.#callNext();
    });
    if ('error' in result) throw reviveError(decodeError(result.error));
    return result;
  }

  /** Makes the calls that wait while slots are free. */
  #callNext(): void {
    for (let slot = this.#free.at(-1); slot !== undefined; slot = this.#free.at(-1)) {
      const call = this.#waiting.shift();
      if (!call) return;
      try {
        if (this.failed) throw this.failed;
        this.#slots.call(slot, call.asked);
        this.#free.pop();
        this.#open.set(slot, call);
        if (this.#isWaking) continue;
        this.#isWaking = true;
        // At the end of this turn: the commits of all partitions that are made in it share one sync.
        queueMicrotask(() => {
          this.#isWaking = false;
          this.#slots.wake();
        });
      } catch (error) {
        // A commit that does not fit was not sent.
        call.reject(error);
      }
    }
  }

  readonly #settle = (results: readonly SlotResult[]): void => {
    for (const result of results) {
      const call = this.#open.get(result.slot);
      this.#open.delete(result.slot);
      this.#free.push(result.slot);
      if (this.#waiting.length > 0) this.#callNext();
      call?.resolve(result);
    }
  };
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
