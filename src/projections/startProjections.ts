import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { connectThread, type Remote, serveThread } from '../base/rpc.js';
import type { Note } from '../cluster/bus.js';
import type { UserId } from '../domain/ids.js';
import type { EventLog } from '../log/log.js';
import type { TextOpener } from '../vault/textOpener.js';
import type { LeafCommit } from './commitBuffer.js';
import { type MerkleReader, StoredMerkleReader, TileReader, tilesModel } from './models/merkleTiles.js';
import type {
  MainThreadApi,
  ModelState,
  ProjectionApi,
  ProjectionNotice,
  ProjectionThreadData,
  ProjectorMessage,
} from './projectionWorker.js';
import type { Progress } from './queries.js';
import { SharedProgress } from './remoteProgress.js';
import { type Engine, ForeignReadModels } from './store/engine.js';
import { ActiveReader, type OpenReader, openReader } from './store/openReader.js';
import type { RowReader } from './store/rowStore.js';

/** Waking a thread costs more than most commits: rings gather for so long, and rows gather longer anyway. */
const GATHER_MS = 20;
const GATHER_NOTICES = 64;

/** Rings for the projector's thread, gathered unless somebody waits. */
class MessageBatcher {
  readonly #post: (messages: readonly ProjectorMessage[]) => void;
  #messages: ProjectorMessage[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (messages: readonly ProjectorMessage[]) => void) {
    this.#post = post;
  }

  add(message: ProjectorMessage): void {
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
    if (this.#messages.push(message) >= GATHER_NOTICES) this.flush();
  }

  addNow(message: ProjectorMessage): void {
    this.#messages.push(message);
    this.flush();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#messages.length > 0) this.#post(this.#messages);
    this.#messages = [];
  }
}

/** The thread that folds, as the main one sees it. */
export interface ProjectionThread {
  readonly worker: Worker;
  readonly projector: Remote<ProjectionApi>;
  /** Takes rings. */
  readonly messagePort: MessagePort;
  /** Here `MainThreadApi` is to be served. */
  readonly main: MessagePort;
  onNotice(notice: ProjectionNotice): void;
}

function startProjectionThread(data: Omit<ProjectionThreadData, 'messagePort' | 'main'>): ProjectionThread {
  const messagePort = new MessageChannel();
  const main = new MessageChannel();
  const workerData: ProjectionThreadData = { ...data, messagePort: messagePort.port2, main: main.port2 };
  const worker = new Worker(new URL('./projectionWorker.js', import.meta.url), {
    workerData,
    transferList: [messagePort.port2, main.port2],
  });
  const thread: ProjectionThread = {
    worker,
    // The thread sends notices of this type only.
    projector: connectThread<ProjectionApi>(worker, (notice) => thread.onNotice(notice as ProjectionNotice)),
    messagePort: messagePort.port1,
    main: main.port1,
    onNotice: () => {},
  };
  return thread;
}

/** Three times what a lease lasts: who looks nowhere for so long owns nothing. */
const SETTLE_MS = 15_000;

type Switch = (name: string, generation: number) => Promise<void>;

/** The other processes of a log on MongoDB. */
export interface ProjectionsCluster {
  /** Partitions folded from the start, all by default; see `Projections.own`. */
  readonly owned?: readonly number[];
  /**
   * After so many milliseconds every other process on the database has learned which table of a model is read. By
   * default 15,000 on MongoDB; 0, which means that there is no other process, on SQLite.
   */
  readonly settleMs?: number;
  /** Tells the other processes of this log; what they tell comes in by `receive`. There are none by default. */
  send?(note: Note): void;
}

export interface ProjectionsOptions {
  readonly engine: Engine;
  /** Opens what the models' indexes need. */
  readonly names: Pick<TextOpener, 'usernames'>;
  /** A module with an `allProjections` like that of `all.js`, which is the default. */
  readonly projections?: URL;
  readonly cluster?: ProjectionsCluster;
  readonly errors: ProjectionErrors;
}

export interface ProjectionErrors {
  /** Going on would lose rows or skip events: the process must stop. Called once at most. */
  onFatal(error: unknown): void;
  /** Something failed and is tried again. */
  onRetry(error: Error): void;
}

/** The read models of this process: folded in a thread of their own, read beside that. */
export interface Projections {
  readonly reader: RowReader;
  /** What proofs are made of, from the tiles and this log, which is the one that they were folded from. */
  merkleReader(log: Pick<EventLog, 'read' | 'places'>): MerkleReader;
  readonly progress: Progress;
  /** Tree sizes folded at the start, by model and partition; and the generations that are read, by model. */
  readonly start: {
    readonly folded: ReadonlyMap<string, readonly number[]>;
    readonly generations: ReadonlyMap<string, number>;
  };
  /** Others that read the models too: told before an old generation goes, which waits for them. */
  onSwitch(handler: Switch): void;
  /**
   * Tells of a durable commit, whoever folds it; what the projector is not told of it finds by itself, later. What
   * another process is to fold is looked for in the store if its progress is not heard of.
   */
  publish(commit: LeafCommit): void;
  /** What another process told: how far it has stored the models, or what it waits for. Repeats do no harm. */
  receive(note: Note): void;
  /**
   * Folds these partitions and no others; resolves when it is so. Of a partition that goes what is folded is written
   * first, one that comes is folded from where the store's checkpoints are then.
   */
  own(partitions: readonly number[]): Promise<void>;
  /** Resolves when all that was published can be read; `overloaded` after 5 s. */
  flush(): Promise<void>;
  /**
   * Builds a model anew from position 1 while it is read and folded; resolves when the new table is the one that
   * every process reads, and the old one is gone. Throws `not_found`, or `conflict` while another rebuild is under way.
   */
  rebuild(name: string): Promise<void>;
  /**
   * To be called once a user's key is destroyed and their erasure is folded: resolves when this process writes their
   * name no more, and it is in no table and no file of the store.
   */
  eraseUsername(userId: UserId): Promise<void>;
  /** Writes what is folded and lets go of everything. */
  close(): Promise<void>;
}

/**
 * Starts where the checkpoints are; where some partitions are others' to fold, only when all of them are folded up to
 * now, which takes as long as a new version of a model needs. Throws `ForeignReadModels`, and what log and store throw; there
 * must be a log.
 */
export async function startProjections(options: ProjectionsOptions): Promise<Projections> {
  const alarm = onceOnly(options.errors.onFatal);
  const { engine, cluster = {} } = options;
  const projections = (options.projections ?? new URL('./allProjections.js', import.meta.url)).href;
  const settleMs = cluster.settleMs ?? (engine.kind === 'mongodb' ? SETTLE_MS : 0);
  const thread = startProjectionThread({ engine, owned: cluster.owned, settleMs, projections });
  try {
    await thread.projector.open();
    const switches: Switch[] = [];
    serveThread(thread.main, {
      usernames: (sealed) => options.names.usernames(sealed),
      switchTo: async (name, generation) => {
        await Promise.all(switches.map((handler) => handler(name, generation)));
      },
    } satisfies MainThreadApi);
    const models = await thread.projector.catchUp();
    const rows = await openReader(engine, alarm);
    return runProjections(options, thread, switches, models, rows, alarm);
  } catch (error) {
    await thread.worker.terminate();
    if (error instanceof Error && error.name === 'ForeignReadModels')
      throw new ForeignReadModels(error.message);
    throw error;
  }
}

function runProjections(
  { cluster, errors }: ProjectionsOptions,
  thread: ProjectionThread,
  switches: Switch[],
  models: readonly ModelState[],
  rows: OpenReader,
  alarm: (error: unknown) => void,
): Projections {
  const batcher = new MessageBatcher((messages) => thread.messagePort.postMessage(messages));
  const generations = new Map(models.map(({ name, generation }) => [name, generation]));
  const folded = new Map(models.map((model) => [model.name, model.folded]));
  const reader = new ActiveReader(rows.reader, generations);
  switches.push((name, generation) => reader.switchTo(name, generation));
  const shared = new SharedProgress({
    models,
    owned: cluster?.owned,
    projector: {
      requestWrite: (partition, size) => batcher.addNow({ write: { partition, size } }),
      readCheckpoints: (partitions) => thread.projector.readCheckpoints(partitions),
    },
    send: (note) => cluster?.send?.(note),
    onRetry: (error) => errors.onRetry(error instanceof Error ? error : new Error(String(error))),
  });
  thread.onNotice = (notice) => {
    if (notice.kind === 'retry') errors.onRetry(toError(notice));
    else shared.recordWritten(notice.advances, notice.behindSince);
  };
  const ended = thread.projector.run().catch(alarm);
  let isClosing = false;
  return {
    reader,
    merkleReader: (log) =>
      rows.merkleReader?.((read) => reader.reading(tilesModel, ({ name }) => read(name))) ??
      new StoredMerkleReader(log, new TileReader(reader)),
    progress: shared.tracker,
    start: { folded, generations },
    onSwitch(handler) {
      switches.push(handler);
    },
    publish(commit) {
      shared.tracker.trackCommit(commit);
      if (!shared.owns(commit.partition)) return;
      const { partition, position, firstOffset, size, recordedAt, leaves } = commit;
      batcher.add({
        commit: { partition, position, firstOffset, size, recordedAt },
        leaves: leaves.join('\n'),
      });
    },
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
      batcher.flush();
      await thread.projector.stop().catch(alarm);
      await ended;
      shared.stop();
      thread.main.close();
      thread.messagePort.close();
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
