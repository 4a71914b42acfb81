import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { connectThread, lowerPriority, serveThread } from '../base/workerThreads.js';
import type { UserId } from '../domain/ids.js';
import { MessageIdBatches } from './messageIdBatches.js';
import { messageIdFiltersModel, messageIdsModel } from './models/messageIdIndex.js';
import type { NameOpener } from './models/userNames.js';
import { eraseUsername } from './models/userRows.js';
import { type Advance, foldNext, Projector } from './projector.js';
import { ProjectorLoop, type SideWork } from './projectorLoop.js';
import { type ActiveProjection, activeProjections, Rebuilder } from './rebuilder.js';
import { checkFoldedFromLog, type Engine, openEngine, type ProjectorEngine } from './store/engine.js';
import { type Checkpoint, foldedBy } from './store/rowStore.js';

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
  /** The port on which `MainThreadApi` is served. */
  readonly main: MessagePort;
}

/** The functions that the thread calls in the main one. */
export type MainThreadApi = NameOpener & {
  switchTo(name: string, generation: number): Promise<void>;
};

/** The read models as they are at the start. */
export interface StartState {
  readonly models: readonly {
    readonly name: string;
    readonly version: number;
    /** The active generation. */
    readonly generation: number;
  }[];
  /** Tree sizes that are folded, by partition. */
  readonly folded: readonly number[];
}

/** A notice from the thread to the main one. */
export type ProjectionNotice =
  | {
      readonly kind: 'progress';
      /** The tables that the projector folds. */
      readonly tables: readonly string[];
      readonly advances: readonly Advance[];
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
    private readonly ids: MessageIdBatches | undefined,
  ) {}

  static async open(): Promise<ProjectionThread> {
    const engine = await openEngine(data.engine);
    const { store, log, partitions } = engine;
    // The main thread names the module, and is compiled against this type.
    const { allProjections } = (await import(data.projections)) as typeof import('./allProjections.js');
    const active = await activeProjections(store, allProjections(main));
    const folded = active.map(({ projection }) => projection);
    await checkFoldedFromLog(engine, [...folded.map(({ model }) => model), messageIdFiltersModel]);
    const index = active.find(({ base }) => base.model.name === messageIdsModel.name)?.projection;
    // On MongoDB a new owner of a partition must find the index folded nearly to the end.
    const batched = data.engine.kind === 'sqlite' ? index : undefined;
    const live = folded.filter((projection) => projection !== batched);
    const owned = data.owned ?? Array.from({ length: partitions }, (_, partition) => partition);
    const projector = await Projector.open(store, live, partitions);
    const ids = index && (await MessageIdBatches.open(engine, projector, batched, { owned }));
    const rebuilder = new Rebuilder({
      engine,
      projector: ids ?? projector,
      active,
      settleMs: data.settleMs,
      events: {
        onAdopted: () => loop.restart(),
        onSwitch: main.switchTo,
        onRetry,
        onBegin: () => loop.requestTurn(),
      },
    });
    const loop = new ProjectorLoop(
      {
        projector,
        log,
        sideWork: ids ? bothOf(rebuilder, ids) : rebuilder,
        onRetry,
        onProgress: (advances, behindSince) =>
          notify({ kind: 'progress', tables: projector.tables, advances, behindSince }),
      },
      owned,
    );
    return new ProjectionThread(engine, active, projector, rebuilder, loop, ids);
  }

  /**
   * Folds what no other process has folded, which may run another version. A node that takes over a partition
   * then has little left to fold.
   */
  async catchUp(): Promise<StartState> {
    const { log, partitions } = this.engine;
    if (data.owned) while (await foldNext(this.projector, log));
    return {
      models: this.active.map(({ base: { model }, generation }) => ({
        ...{ name: model.name, version: model.version, generation },
      })),
      folded: Array.from({ length: partitions }, (_, partition) => this.projector.sizes(partition).written),
    };
  }

  async run(): Promise<void> {
    this.rebuilder.start();
    try {
      await this.loop.run();
      await this.ids?.flush();
    } finally {
      await this.engine.close();
    }
  }

  rebuild(name: string): Promise<void> {
    return this.rebuilder.rebuild(name);
  }

  requestWrite(partition: number, size: number): void {
    this.loop.requestWrite(partition, size);
  }

  own(partitions: readonly number[]): Promise<void> {
    this.ids?.own(partitions);
    return this.loop.own(partitions);
  }

  /** Reads from the store how far all these tables are, whichever process folds them. */
  async readCheckpoints(tables: readonly string[], partitions: readonly number[]): Promise<Advance[]> {
    const stored = await this.engine.store.checkpoints(partitions);
    return partitions.map((partition) => ({ partition, size: foldedBy(stored, tables, partition).size }));
  }

  /** Reads from the store how far all these tables are together, whichever process folds them. */
  async storedCheckpoint(tables: readonly string[], partition: number): Promise<Checkpoint> {
    return foldedBy(await this.engine.store.checkpoints([partition]), tables, partition);
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

/** One step of the first work that has something to do. */
const bothOf = (first: SideWork, second: SideWork): SideWork => ({
  step: async () => (await first.step()) || second.step(),
  async reset() {
    await first.reset();
    await second.reset();
  },
});

let opened: Promise<ProjectionThread> | undefined;

const api = {
  /** Opens log and store. */
  async open(): Promise<void> {
    opened = ProjectionThread.open();
    await opened;
  },
  /** Must be called before `run`. */
  catchUp: async () => (await opened)?.catchUp() ?? { models: [], folded: [] },
  /** Resolves after `stop`; rejects with an error that must stop the process. */
  run: async () => (await opened)?.run(),
  rebuild: async (name: string) => (await opened)?.rebuild(name),
  eraseUsername: async (userId: UserId) => (await opened)?.eraseUsername(userId),
  /** Asks for everything of the partition below `size` to be written without delay. */
  requestWrite: async (partition: number, size: number) => (await opened)?.requestWrite(partition, size),
  own: async (partitions: readonly number[]) => (await opened)?.own(partitions),
  readCheckpoints: async (tables: readonly string[], partitions: readonly number[]) =>
    (await opened)?.readCheckpoints(tables, partitions) ?? [],
  storedCheckpoint: async (tables: readonly string[], partition: number) =>
    (await opened)?.storedCheckpoint(tables, partition) ?? { position: 0, size: 0 },
  stop: async () => (await opened)?.stop(),
};

export type ProjectionApi = typeof api;

if (parentPort) {
  serveThread(parentPort, api);
}
