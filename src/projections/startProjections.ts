import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { connectThread, type Remote, serveThread } from '../base/workerThreads.js';
import type { Note } from '../cluster/bus.js';
import type { UserId } from '../domain/ids.js';
import type { EventLog } from '../log/log.js';
import { type MerkleReader, StoredMerkleReader, TileReader, tilesModel } from './models/merkleTiles.js';
import type { NameOpener } from './models/userNames.js';
import type {
  MainThreadApi,
  ProjectionApi,
  ProjectionNotice,
  ProjectionThreadData,
  StartState,
} from './projectionWorker.js';
import { type CommitExtent, LocalProgress, type Progress } from './queryWaits.js';
import { SharedProgress } from './remoteProgress.js';
import { type Engine, ForeignReadModels } from './store/engine.js';
import { ActiveReader, type OpenReader, openReader } from './store/openReader.js';
import { type AnyModel, type Checkpoint, type RowReader, tableOf } from './store/rowStore.js';

/** The projector's thread, as the main thread sees it. */
export interface ProjectionThread {
  readonly worker: Worker;
  readonly projector: Remote<ProjectionApi>;
  /** The port on which `MainThreadApi` must be served. */
  readonly main: MessagePort;
}

function startProjectionThread(
  data: Omit<ProjectionThreadData, 'main'>,
  onNotice: (notice: ProjectionNotice) => void,
): ProjectionThread {
  const main = new MessageChannel();
  const workerData: ProjectionThreadData = { ...data, main: main.port2 };
  const worker = new Worker(new URL('./projectionWorker.js', import.meta.url), {
    workerData,
    transferList: [main.port2],
  });
  // The thread sends notices of this type only.
  const projector = connectThread<ProjectionApi>(worker, onNotice as (notice: unknown) => void);
  return { worker, projector, main: main.port1 };
}

/** Three times the lifetime of a lease: a process that reads nothing for so long owns no partition. */
const SETTLE_MS = 15_000;

type Switch = (name: string, generation: number) => Promise<void>;

/** The readers of the models, which follow each change of generation and the progress. */
class Readers {
  /** Set once the models can be read. */
  progress: LocalProgress | SharedProgress | undefined;
  readonly switches: Switch[] = [];
  /** Called when all of them have followed. */
  onSwitched: () => void = () => {};

  async switchTo(name: string, generation: number): Promise<void> {
    await Promise.all(this.switches.map((handler) => handler(name, generation)));
    this.onSwitched();
  }
}

/** The connection to the other processes of a log on MongoDB. */
export interface ProjectionsCluster {
  /** Partitions folded from the start, all by default; see `Projections.own`. */
  readonly owned?: readonly number[];
  /**
   * Milliseconds after which every other process has read which table of a model is active. The default is
   * 15,000 on MongoDB, and 0 on SQLite, where there is no other process.
   */
  readonly settleMs?: number;
  /** Sends a note to the other processes; pass their notes to `receive`. */
  send?(note: Note): void;
}

export interface ProjectionsOptions {
  readonly engine: Engine;
  /** Opens names for the models' indexes. */
  readonly names: NameOpener;
  /** A module with an `allProjections`; the default is `allProjections.js`. */
  readonly projections?: URL;
  readonly cluster?: ProjectionsCluster;
  readonly errors: ProjectionErrors;
}

export interface ProjectionErrors {
  /** Going on would lose rows or skip events: the process must stop. Called at most once. */
  onFatal(error: unknown): void;
  /** Something failed and is tried again. */
  onRetry(error: Error): void;
}

/** The read models of this process. One thread folds them, and reads run beside it. */
export interface Projections {
  readonly reader: RowReader;
  /** Reads proofs from the tiles and from this log, which must be the log that they were folded from. */
  merkleReader(log: Pick<EventLog, 'read' | 'places'>): MerkleReader;
  readonly progress: Progress;
  /** Reads how far the store holds all these models now, whichever process has folded them. */
  storedCheckpoint(models: readonly AnyModel[], partition: number): Promise<Checkpoint>;
  /** Tree sizes folded at the start, by partition; and the active generations, by model. */
  readonly start: {
    readonly folded: readonly number[];
    readonly generations: ReadonlyMap<string, number>;
  };
  /**
   * Adds another reader of the models. It is called before an old generation is dropped, which waits for it.
   */
  onSwitch(handler: Switch): void;
  /**
   * Counts a durable commit as unfolded, whichever process folds it. The projector finds it in the log by itself. If
   * another process folds it and stays silent, its checkpoints are read from the store.
   */
  readonly publish: (commit: CommitExtent) => void;
  /** Handles a note from another process. Repeats are harmless. */
  receive(note: Note): void;
  /**
   * Folds exactly these partitions; resolves when it does. Rows of a removed partition are written first. An
   * added one begins at the store's checkpoints as they are then.
   */
  own(partitions: readonly number[]): Promise<void>;
  /** Resolves when everything published can be read; rejects with `overloaded` after 5 s. */
  flush(): Promise<void>;
  /**
   * Rebuilds a model from position 1 while it is read and folded. Resolves when every process reads the new
   * table and the old one is dropped. Throws `not_found`, or `conflict` while another rebuild is under way.
   */
  rebuild(name: string): Promise<void>;
  /**
   * Removes an erased user's name from every table and file of the store. Call it after the user's key is
   * destroyed and the erasure is folded. Once it resolves, this process writes the name no more.
   */
  eraseUsername(userId: UserId): Promise<void>;
  /** Writes what is folded and releases everything. */
  close(): Promise<void>;
}

/**
 * Starts at the checkpoints. If other processes fold some partitions, it first waits until all are folded up
 * to now. A new version of a model makes that take long. The log must exist. Throws `ForeignReadModels`, and
 * the errors of log and store.
 */
export async function startProjections(options: ProjectionsOptions): Promise<Projections> {
  const alarm = onceOnly(options.errors.onFatal);
  const { engine, cluster = {} } = options;
  const projections = (options.projections ?? new URL('./allProjections.js', import.meta.url)).href;
  const settleMs = cluster.settleMs ?? (engine.kind === 'mongodb' ? SETTLE_MS : 0);
  const readers = new Readers();
  const thread = startProjectionThread({ engine, owned: cluster.owned, settleMs, projections }, (notice) => {
    if (notice.kind === 'progress')
      readers.progress?.recordWritten(notice.tables, notice.advances, notice.behindSince);
    else if (readers.progress) options.errors.onRetry(toError(notice));
  });
  try {
    await thread.projector.open();
    serveThread(thread.main, {
      notes: (texts) => options.names.notes(texts),
      switchTo: (name, generation) => readers.switchTo(name, generation),
    } satisfies MainThreadApi);
    const start = await thread.projector.catchUp();
    const rows = await openReader(engine, alarm);
    return runProjections(options, thread, readers, start, rows, alarm);
  } catch (error) {
    await thread.worker.terminate();
    if (error instanceof Error && error.name === 'ForeignReadModels')
      throw new ForeignReadModels(error.message);
    throw error;
  }
}

function runProjections(
  { engine, cluster, errors }: ProjectionsOptions,
  thread: ProjectionThread,
  readers: Readers,
  start: StartState,
  rows: OpenReader,
  alarm: (error: unknown) => void,
): Projections {
  const { models, folded } = start;
  const generations = new Map(models.map(({ name, generation }) => [name, generation]));
  const reader = new ActiveReader(rows.reader, generations);
  const tables = () => models.map((model) => tableOf(reader.current(model)));
  // A thread that has ended has raised the alarm.
  const requestWrite = (partition: number, size: number) =>
    void thread.projector.requestWrite(partition, size).catch(() => {});
  const shared =
    engine.kind === 'sqlite'
      ? new LocalProgress({ folded, requestWrite })
      : new SharedProgress({
          start: { tables: tables(), folded },
          owned: cluster?.owned,
          projector: {
            requestWrite,
            readCheckpoints: (read, partitions) => thread.projector.readCheckpoints(read, partitions),
          },
          send: (note) => cluster?.send?.(note),
          onRetry: (error) => errors.onRetry(error instanceof Error ? error : new Error(String(error))),
        });
  readers.switches.push((name, generation) => reader.switchTo(name, generation));
  // Progress in the new table counts only now: no reader may take it for progress in the old one.
  readers.onSwitched = () => shared.readFrom(tables());
  readers.progress = shared;
  const ended = thread.projector.run().catch(alarm);
  let isClosing = false;
  return {
    reader,
    merkleReader: (log) =>
      rows.merkleReader?.((read) => reader.reading(tilesModel, ({ name }) => read(name))) ??
      new StoredMerkleReader(log, new TileReader(reader)),
    progress: shared.tracker,
    storedCheckpoint: (asked, partition) =>
      thread.projector.storedCheckpoint(
        asked.map((model) => tableOf(reader.current(model))),
        partition,
      ),
    start: { folded, generations },
    onSwitch(handler) {
      readers.switches.push(handler);
    },
    publish: shared.tracker.trackCommit,
    receive: (note) => shared.receive(note),
    own(partitions) {
      shared.own(partitions);
      return isClosing ? Promise.resolve() : thread.projector.own(partitions);
    },
    flush: () => shared.tracker.waitForAll(),
    rebuild: (name) => thread.projector.rebuild(name),
    eraseUsername: (userId) => thread.projector.eraseUsername(userId),
    async close() {
      isClosing = true;
      await thread.projector.stop().catch(alarm);
      await ended;
      shared.stop();
      thread.main.close();
      await thread.worker.terminate();
      await rows.close();
    },
  };
}

function toError({ message, stack }: { message: string; stack: string | undefined }): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function onceOnly(handler: (error: unknown) => void): (error: unknown) => void {
  let isCalled = false;
  return (error) => {
    if (!isCalled) handler(error);
    isCalled = true;
  };
}
