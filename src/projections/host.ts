import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { connect, type Remote, serve } from '../threads/rpc.js';
import type { Opener } from '../vault/opener.js';
import { ActiveReader } from './activeReader.js';
import { Doorbell } from './doorbell.js';
import type { Engine } from './engine.js';
import type { LeafCommit } from './frame.js';
import type {
  MainApi,
  ModelState,
  ProjectionApi,
  ProjectionNotice,
  ProjectionThreadData,
} from './projectionWorker.js';
import type { Progress } from './queries.js';
import type { QueryApi, QueryThreadData } from './queryWorker.js';
import type { RowReader } from './rows.js';
import { openMongoRows } from './rowsMongodb.js';
import { textReader } from './textReader.js';
import { Waiter } from './waiter.js';

export interface ProjectionsOptions {
  readonly engine: Engine;
  /** Opens what the models' indexes need. */
  readonly names: Pick<Opener, 'usernames'>;
  /** A module with an `allProjections` like that of `all.js`, which is the default. */
  readonly projections?: URL;
  /** Partitions folded from the start, all by default; see `Projections.own`. */
  readonly owned?: readonly number[];
  /** Going on would lose rows or skip events: the process must stop. Called once at most. */
  onFatal(error: unknown): void;
  /** Something failed and is tried again. */
  onTrouble(error: Error): void;
}

/** The read models of this process: folded in a thread of their own, read beside that. */
export interface Projections {
  readonly reader: RowReader;
  readonly progress: Progress;
  /** Tree sizes folded at the start, by model and partition; and the generations that are read, by model. */
  readonly start: {
    readonly folded: ReadonlyMap<string, readonly number[]>;
    readonly generations: ReadonlyMap<string, number>;
  };
  /** Others that read the models too: told before an old generation goes, which waits for them. */
  onSwitch(handler: (name: string, generation: number) => Promise<void>): void;
  /** Tells the projector of a durable commit; a commit it is not told of it finds by itself, later. */
  publish(commit: LeafCommit): void;
  /**
   * Folds these partitions and no others; resolves when it is so. Of a partition that goes what is folded is written
   * first, one that comes is folded from where the store's checkpoints are then.
   */
  own(partitions: readonly number[]): Promise<void>;
  /** Resolves when all that was published can be read; `overloaded` after 5 s. */
  flush(): Promise<void>;
  /**
   * Builds a model anew from position 1 while it is read and folded; resolves when the new table is the one
   * that is read. Throws `not_found`, or `conflict` while another rebuild is under way.
   */
  rebuild(name: string): Promise<void>;
  /** Writes what is folded and lets go of everything. */
  close(): Promise<void>;
}

/** Starts where the checkpoints are. Throws what log and store throw; there must be a log. */
export async function startProjections(options: ProjectionsOptions): Promise<Projections> {
  const alarm = onceOnly(options.onFatal);
  const thread = startThread(options);
  try {
    const models = await thread.projector.open();
    const rows = await openReader(options.engine, alarm);
    return runProjections(options, thread, models, rows, alarm);
  } catch (error) {
    await thread.worker.terminate();
    throw error;
  }
}

interface Thread {
  readonly worker: Worker;
  readonly projector: Remote<ProjectionApi>;
  readonly doorbell: MessagePort;
  readonly main: MessagePort;
  onNotice(notice: ProjectionNotice): void;
}

function startThread({ engine, projections, owned }: ProjectionsOptions): Thread {
  const doorbell = new MessageChannel();
  const main = new MessageChannel();
  const workerData: ProjectionThreadData = {
    engine,
    owned,
    projections: (projections ?? new URL('./all.js', import.meta.url)).href,
    doorbell: doorbell.port2,
    main: main.port2,
  };
  const worker = new Worker(new URL('./projectionWorker.js', import.meta.url), {
    workerData,
    transferList: [doorbell.port2, main.port2],
  });
  const thread: Thread = {
    worker,
    // The thread sends notices of this type only.
    projector: connect<ProjectionApi>(worker, (notice) => thread.onNotice(notice as ProjectionNotice)),
    doorbell: doorbell.port1,
    main: main.port1,
    onNotice: () => {},
  };
  return thread;
}

function runProjections(
  { names, onTrouble }: ProjectionsOptions,
  thread: Thread,
  models: readonly ModelState[],
  rows: OpenReader,
  alarm: (error: unknown) => void,
): Projections {
  const doorbell = new Doorbell((rings) => thread.doorbell.postMessage(rings));
  const generations = new Map(models.map(({ name, generation }) => [name, generation]));
  const folded = new Map(models.map((model) => [model.name, model.folded]));
  const reader = new ActiveReader(rows.reader, generations);
  const switches: ((name: string, generation: number) => Promise<void>)[] = [
    (name, generation) => reader.switchTo(name, generation),
  ];
  const waiter = new Waiter({
    folded,
    want: (partition, size) => doorbell.ringNow({ want: { partition, size } }),
  });
  serve(thread.main, {
    usernames: (sealed) => names.usernames(sealed),
    switchTo: async (name, generation) => {
      await Promise.all(switches.map((handler) => handler(name, generation)));
    },
  } satisfies MainApi);
  thread.onNotice = (notice) => {
    if (notice.kind === 'trouble') onTrouble(troubleOf(notice));
    else {
      waiter.behind(notice.behindSince);
      for (const { model, partition, size } of notice.advances) waiter.advance(model, partition, size);
    }
  };
  const ended = thread.projector.run().catch(alarm);
  return {
    reader,
    progress: waiter,
    start: { folded, generations },
    onSwitch(handler) {
      switches.push(handler);
    },
    publish(commit) {
      waiter.published(commit);
      const { partition, position, firstOffset, size, recordedAt, leaves } = commit;
      doorbell.ring({
        commit: { partition, position, firstOffset, size, recordedAt },
        leaves: leaves.join('\n'),
      });
    },
    own: (partitions) => thread.projector.own(partitions),
    flush: () => waiter.flushed(),
    rebuild: (name) => thread.projector.rebuild(name),
    async close() {
      doorbell.flush();
      await thread.projector.stop().catch(alarm);
      await ended;
      thread.main.close();
      thread.doorbell.close();
      await thread.worker.terminate();
      await rows.close();
    },
  };
}

interface OpenReader {
  readonly reader: RowReader;
  close(): Promise<void>;
}

/** Files are read in a thread of their own, so that no query waits for a write; a server is asked from here. */
async function openReader(engine: Engine, alarm: (error: unknown) => void): Promise<OpenReader> {
  if (engine.kind === 'mongodb') {
    const store = await openMongoRows(engine.url);
    return { reader: store, close: () => store.close() };
  }
  const workerData: QueryThreadData = { dataDir: engine.dataDir };
  const worker = new Worker(new URL('./queryWorker.js', import.meta.url), { workerData });
  const remote = connect<QueryApi>(worker);
  let isClosing = false;
  worker.on('error', alarm);
  worker.on('exit', (code) => {
    if (!isClosing) alarm(new Error(`the thread of the queries ended with code ${code}`));
  });
  return {
    reader: textReader(remote),
    async close() {
      isClosing = true;
      await remote.close().catch(alarm);
      await worker.terminate();
    },
  };
}

function troubleOf({ message, stack }: { message: string; stack: string | undefined }): Error {
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
