import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { connectThread, lowerPriority, serveThread } from '../base/workerThreads.js';
import type { UserId } from '../domain/ids.js';
import type { TextOpener } from '../vault/textOpener.js';
import { type ActiveProjection, activeProjections, eraseUsername } from './activeTables.js';
import type { LeafCommit } from './commitBuffer.js';
import { catchUp, Projector } from './projector.js';
import { ProjectorLoop } from './projectorLoop.js';
import type { ModelAdvance } from './queryWaits.js';
import { Rebuilder } from './rebuilder.js';
import { checkFoldedFromLog, type Engine, openEngine, type ProjectorEngine } from './store/engine.js';
import { tableOf } from './store/rowStore.js';

/** The data of the projector's thread. */
export interface ProjectionThreadData {
  readonly engine: Engine;
  /** Partitions folded from the start; undefined means all. */
  readonly owned: readonly number[] | undefined;
  /**
   * Milliseconds after which every process on this database has read a change of generation. 0: there is no
   * other process.
   */
  readonly settleMs: number;
  /** The URL of the module that exports `allProjections`. */
  readonly projections: string;
  /** Delivers `ProjectorMessage`s to this thread. */
  readonly messagePort: MessagePort;
  /** The port on which `MainThreadApi` is served. */
  readonly main: MessagePort;
}

/**
 * A message to the projector, in the order sent and without an answer. Leaves are lines of one text, because
 * one string copies faster.
 */
export type ProjectorMessage =
  | { readonly commit: Omit<LeafCommit, 'leaves'>; readonly leaves: string }
  | { readonly write: { readonly partition: number; readonly size: number } };

/** The functions that the thread calls in the main one. */
export type MainThreadApi = Pick<TextOpener, 'usernames'> & {
  switchTo(name: string, generation: number): Promise<void>;
};

/** The progress of a model by partition, and its active generation. */
export interface ModelState {
  readonly name: string;
  /** The table by which other processes know the model. */
  readonly table: string;
  readonly generation: number;
  readonly folded: readonly number[];
}

/** A notice from the thread to the main one. */
export type ProjectionNotice =
  | {
      readonly kind: 'progress';
      readonly advances: readonly ModelAdvance[];
      readonly behindSince: string | undefined;
    }
  | { readonly kind: 'retry'; readonly message: string; readonly stack: string | undefined };

const data = workerData as ProjectionThreadData;
const main = connectThread<MainThreadApi>(data.main);

function notify(notice: ProjectionNotice): void {
  parentPort?.postMessage({ notice });
}

function onRetry(error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  notify({ kind: 'retry', message, stack });
}

lowerPriority(5);

/** The projector of the thread, from its start to its end. */
class ProjectionThread {
  private constructor(
    private readonly engine: ProjectorEngine,
    private readonly active: readonly ActiveProjection[],
    private readonly projector: Projector,
    private readonly rebuilder: Rebuilder,
    private readonly loop: ProjectorLoop,
  ) {}

  static async open(): Promise<ProjectionThread> {
    const engine = await openEngine(data.engine);
    const { store, log, partitions } = engine;
    // The main thread names the module, and is compiled against this type.
    const { allProjections } = (await import(data.projections)) as typeof import('./allProjections.js');
    const active = await activeProjections(store, allProjections(main));
    const folded = active.map(({ projection }) => projection);
    await checkFoldedFromLog(
      engine,
      folded.map(({ model }) => model),
    );
    const projector = await Projector.open(store, folded, partitions);
    const rebuilder = new Rebuilder({
      engine,
      projector,
      active,
      settleMs: data.settleMs,
      events: {
        onAdopted: () => loop.restart(),
        onSwitch: main.switchTo,
        onSwitched: (projection) => loop.report(projection),
        onRetry,
        onBegin: () => loop.requestTurn(),
      },
    });
    const owned = data.owned ?? Array.from({ length: partitions }, (_, partition) => partition);
    const loop = new ProjectorLoop(
      {
        projector,
        log,
        sideWork: rebuilder,
        onRetry,
        onProgress: (advances, behindSince) =>
          notify({
            kind: 'progress',
            behindSince,
            advances: advances.flatMap(({ projection, partition, size }) => {
              const model = rebuilder.tables.nameOf(projection);
              return model === undefined ? [] : [{ model, partition, size }];
            }),
          }),
      },
      owned,
    );
    data.messagePort.on('message', (messages: readonly ProjectorMessage[]) => {
      for (const message of messages)
        if ('commit' in message) loop.notify(parseLeaves(message));
        else loop.requestWrite(message.write.partition, message.write.size);
    });
    return new ProjectionThread(engine, active, projector, rebuilder, loop);
  }

  /**
   * Folds what no other process has folded, which may run another version. A node that takes over a partition
   * then has little left to fold. Returns the progress of the models.
   */
  async catchUp(): Promise<ModelState[]> {
    const { log, partitions } = this.engine;
    if (data.owned) await catchUp(this.projector, log, partitions);
    return this.active.map(({ base, generation, projection }) => ({
      name: base.model.name,
      table: tableOf(base.model),
      generation,
      folded: this.projector.written(projection),
    }));
  }

  async run(): Promise<void> {
    this.rebuilder.start();
    try {
      await this.loop.run();
    } finally {
      data.messagePort.close();
      await this.engine.close();
    }
  }

  rebuild(name: string): Promise<void> {
    return this.rebuilder.rebuild(name);
  }

  own(partitions: readonly number[]): Promise<void> {
    return this.loop.own(partitions);
  }

  /** Reads the checkpoints of the active tables, whichever process folds them. */
  async readCheckpoints(partitions: readonly number[]): Promise<ModelAdvance[]> {
    const places = this.rebuilder.tables
      .current()
      .flatMap(({ name, model }) => partitions.map((partition) => ({ name, model, partition })));
    const found = await this.engine.checkpoints(places);
    return places.map(({ name, partition }, i) => ({ model: name, partition, size: found[i]?.size ?? 0 }));
  }

  /** Erases a name, after the user's key is destroyed and the erasure is folded. */
  eraseUsername(userId: UserId): Promise<void> {
    return this.loop.runExclusive(() => eraseUsername(this.engine.store, userId));
  }

  stop(): void {
    this.rebuilder.stop();
    this.loop.stop();
  }
}

function parseLeaves({ commit, leaves }: Extract<ProjectorMessage, { leaves: string }>): LeafCommit {
  // An empty text means no leaves, not one empty leaf.
  return { ...commit, leaves: leaves === '' ? [] : leaves.split('\n') };
}

let opened: Promise<ProjectionThread> | undefined;

const api = {
  /** Opens log and store. */
  async open(): Promise<void> {
    opened = ProjectionThread.open();
    await opened;
  },
  /** Must be called before `run`. */
  catchUp: async () => (await opened)?.catchUp() ?? [],
  /** Resolves after `stop`; rejects with an error that must stop the process. */
  run: async () => (await opened)?.run(),
  rebuild: async (name: string) => (await opened)?.rebuild(name),
  eraseUsername: async (userId: UserId) => (await opened)?.eraseUsername(userId),
  own: async (partitions: readonly number[]) => (await opened)?.own(partitions),
  readCheckpoints: async (partitions: readonly number[]) => (await opened)?.readCheckpoints(partitions) ?? [],
  stop: async () => (await opened)?.stop(),
};

export type ProjectionApi = typeof api;

if (parentPort) serveThread(parentPort, api);
