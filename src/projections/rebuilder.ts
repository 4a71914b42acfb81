import { setTimeout as delay } from 'node:timers/promises';
import { ParleyError } from '../base/errors.js';
import type { AnyProjection } from './projection.js';
import { type FoldedTables, foldNext, Projector } from './projector.js';
import type { SideWork } from './projectorLoop.js';
import type { ProjectorEngine } from './store/engine.js';
import {
  changeGeneration,
  dropOther,
  foldedBy,
  generationOf,
  markReady,
  type RowStore,
  readGeneration,
  readGenerations,
  switchGeneration,
  tableOf,
} from './store/rowStore.js';

/** Returns the projection into the table of this generation. */
const inGeneration = (projection: AnyProjection, generation: number): AnyProjection =>
  generation === 0 ? projection : { ...projection, model: generationOf(projection.model, generation) };

/** A projection into the table that queries read. */
export interface ActiveProjection {
  /** The projection in generation 0. */
  readonly base: AnyProjection;
  readonly generation: number;
  readonly projection: AnyProjection;
}

/** Reads the active generation of each projection from the store. */
export async function activeProjections(
  store: RowStore,
  bases: readonly AnyProjection[],
): Promise<ActiveProjection[]> {
  const found = await readGenerations(
    store,
    bases.map(({ model }) => model),
  );
  return bases.map((base, i) => {
    const generation = found[i]?.active ?? 0;
    return { base, generation, projection: inGeneration(base, generation) };
  });
}

/**
 * Rebuilds one projection from position 1 in a new table, beside the table that is read. It has its own
 * projector and checkpoint, and folds all partitions, whichever node owns them.
 */
export class Rebuild {
  private constructor(
    /** The projection in generation 0. */
    readonly base: AnyProjection,
    /** The projection into the new table. */
    readonly projection: AnyProjection,
    readonly generation: number,
    private readonly projector: Projector,
    private readonly engine: Omit<ProjectorEngine, 'close'>,
    private readonly stepMs?: number,
  ) {}

  /**
   * Begins a rebuild, or continues one that was interrupted, by whichever process. Throws `conflict` while some process
   * may still read the model's old table. `stepMs`: see `foldNext`.
   */
  static async begin(
    engine: Omit<ProjectorEngine, 'close'>,
    base: AnyProjection,
    stepMs?: number,
  ): Promise<Rebuild> {
    const { store, partitions } = engine;
    const { model } = base;
    const now = await readGeneration(store, model);
    if (now.other !== null && now.other < now.active)
      throw new ParleyError(
        'conflict',
        `a process may still read the old table of ${model.name}; try again later`,
      );
    const generation = now.active + 1;
    if (now.other === null) await changeGeneration(store, model, now, { other: generation });
    const projection = inGeneration(base, generation);
    const projector = await Projector.open(store, [projection], partitions);
    return new Rebuild(base, projection, generation, projector, engine, stepMs);
  }

  /** Folds and writes the next commits of each partition. After an error call `reset`, then `step` again. */
  async step(): Promise<void> {
    await foldNext(this.projector, this.engine.log, this.stepMs);
  }

  reset(): Promise<void> {
    return this.projector.reset();
  }

  /** Whether the new table holds everything up to these positions, by partition. */
  hasCaughtUp(positions: readonly number[]): boolean {
    return positions.every((position, partition) => this.projector.position(partition) >= position);
  }
}

/** Interval between checks whether a new table has caught up. */
const RETRY_MS = 100;
/** Reads of the generations within `settleMs`, in each process. */
const READS_PER_SETTLE = 3;

interface RebuilderEvents {
  /** Makes later reads use this generation. Resolves when no read of another generation is open. */
  onSwitch(name: string, generation: number): Promise<void>;
  /** The live projector has one more projection and must restart at the checkpoints. */
  onAdopted(): void;
  /** A table could not be dropped; the next start tries again. */
  onRetry(error: unknown): void;
  /** A step is waiting to run. */
  onBegin(): void;
}

interface RebuilderOptions {
  readonly engine: Omit<ProjectorEngine, 'close'>;
  /** The live tables. */
  readonly projector: FoldedTables;
  readonly active: readonly ActiveProjection[];
  /** Milliseconds after which every process has read a change of generation. 0: there is no other process. */
  readonly settleMs: number;
  readonly events: RebuilderEvents;
}

interface Job {
  readonly rebuild: Rebuild;
  readonly done: () => void;
  /** When both tables began to be folded together, in monotonic milliseconds. */
  readySince: number | undefined;
}

/**
 * Rebuilds projections, one at a time, between the turns of the live projector. Also follows the rebuilds of
 * other processes. A reader must never miss a row whose progress was reported. So a rebuild has steps, and
 * each one begins only when every process has read the one before. Each process reads the generations a few
 * times within `settleMs`.
 * 1. One process builds the new table, of all partitions, with a checkpoint of its own.
 * 2. It marks the table as ready. Every owner folds both tables, and its checkpoint names both.
 * 3. Once the new table is as far as the old one, it becomes the active one, by one write of one row. Each
 *    process reads it as soon as it sees that. It also folds the old one, for processes that have not seen it.
 * 4. Nobody folds the old table any more, and it is dropped.
 * A process that cannot read the store for longer than `settleMs` has lost its leases, so it owns no
 * partition.
 */
export class Rebuilder implements SideWork {
  readonly #options: RebuilderOptions;
  /** The active table, by the projection in generation 0. */
  readonly #active: Map<AnyProjection, ActiveProjection>;
  /** Models whose previous table is still folded, or waits to be dropped. */
  readonly #changing = new Set<AnyProjection>();
  readonly #stopping = new AbortController();
  #pollTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #mustRead = true;
  #job: Job | undefined;
  #isRebuilding = false;
  #leftovers: Promise<void> = Promise.resolve();

  constructor(options: RebuilderOptions) {
    this.#options = options;
    this.#active = new Map(options.active.map((active) => [active.base, active]));
  }

  /** Begins to follow other processes, and drops tables that an earlier process left. */
  start(): void {
    const { settleMs, events } = this.#options;
    if (settleMs > 0) this.#pollTimer = setInterval(() => this.#requestRead(), settleMs / READS_PER_SETTLE);
    this.#leftovers = this.#dropLeftovers().catch(events.onRetry);
  }

  /** Ends every switch that is under way where it is. */
  stop(): void {
    clearInterval(this.#pollTimer);
    clearTimeout(this.#retryTimer);
    this.#stopping.abort();
  }

  /**
   * Rebuilds a model from position 1. Resolves when every process reads the new table and the old one is
   * dropped. Throws `not_found`, or `conflict` while another rebuild is under way.
   */
  async rebuild(name: string): Promise<void> {
    const { engine, events } = this.#options;
    const base = [...this.#active.keys()].find(({ model }) => model.name === name);
    if (!base) throw new ParleyError('not_found', `there is no projection ${name}`);
    if (this.#isRebuilding) throw new ParleyError('conflict', 'another projection is being rebuilt');
    this.#isRebuilding = true;
    try {
      // Otherwise it would continue to build a table that is being dropped.
      await this.#leftovers;
      const rebuild = await Rebuild.begin(engine, base);
      await new Promise<void>((done) => {
        this.#job = { rebuild, done, readySince: undefined };
        events.onBegin();
      });
    } finally {
      this.#isRebuilding = false;
    }
  }

  async step(): Promise<boolean> {
    const mustRead = this.#mustRead && this.#options.settleMs > 0;
    this.#mustRead = false;
    if (mustRead) await this.#followGenerations();
    if (!this.#job) return false;
    return this.#job.readySince === undefined ? this.#build(this.#job) : this.#switch(this.#job);
  }

  async reset(): Promise<void> {
    await this.#job?.rebuild.reset();
  }

  async #build(job: Job): Promise<boolean> {
    const { base, generation } = job.rebuild;
    // Read before the step, so that the target cannot run away.
    const old = await this.#positions(this.#of(base).projection);
    await job.rebuild.step();
    if (!job.rebuild.hasCaughtUp(old)) return true;
    await markReady(this.#options.engine.store, base.model, generation);
    await this.#adopt(base, generation);
    job.readySince = performance.now();
    return true;
  }

  async #switch(job: Job): Promise<boolean> {
    const { base, generation } = job.rebuild;
    const { engine, settleMs, events } = this.#options;
    const left = (job.readySince ?? 0) + settleMs - performance.now();
    if (left > 0 || !(await this.#isAsFar(base, generation))) {
      this.#requestReadIn(Math.max(left, RETRY_MS));
      return false;
    }
    await switchGeneration(engine.store, base.model, generation);
    this.#job = undefined;
    this.#change(base, generation).catch(events.onRetry).finally(job.done);
    return false;
  }

  /** Adopts the changes that other processes have made. */
  async #followGenerations(): Promise<void> {
    const { events } = this.#options;
    for (const [base, { active, other, isReady }] of await this.#readGenerations()) {
      if (this.#changing.has(base) || this.#job?.rebuild.base === base) continue;
      if (isReady && other !== null) await this.#adopt(base, other);
      if (active === this.#of(base).generation) continue;
      await this.#adopt(base, active);
      if (await this.#isAsFar(base, active)) this.#change(base, active).catch(events.onRetry);
      else this.#requestReadIn(RETRY_MS);
    }
  }

  /**
   * Drops tables that an earlier process left. A table that is being built may be another process's work, so
   * a rebuild continues it.
   */
  async #dropLeftovers(): Promise<void> {
    const { settleMs, events } = this.#options;
    const drops = (await this.#readGenerations()).map(async ([base, { active, other }]) => {
      if (other === null || (other > active && settleMs > 0)) return;
      await this.#drop(base, other).catch(events.onRetry);
    });
    if (settleMs === 0) await Promise.all(drops);
  }

  async #readGenerations() {
    const bases = [...this.#active.keys()];
    const models = bases.map(({ model }) => model);
    const found = await readGenerations(this.#options.engine.store, models);
    return bases.flatMap((base, i) => (found[i] ? [[base, found[i]] as const] : []));
  }

  #of(base: AnyProjection): ActiveProjection {
    return this.#active.get(base) ?? { base, generation: 0, projection: base };
  }

  /** Begins to fold this generation too. Must not be called while the live projector works. */
  async #adopt(base: AnyProjection, generation: number): Promise<void> {
    const { projector, events } = this.#options;
    const projection = inGeneration(base, generation);
    if (projector.has(projection)) return;
    await projector.adopt(projection);
    events.onAdopted();
  }

  /** How far this table is stored, by partition. Another node may have folded it. */
  async #positions({ model }: AnyProjection): Promise<number[]> {
    const { store, partitions } = this.#options.engine;
    const stored = await store.checkpoints();
    return Array.from(
      { length: partitions },
      (_, partition) => foldedBy(stored, [tableOf(model)], partition).position,
    );
  }

  /** Whether this generation holds everything that the active one holds. */
  async #isAsFar(base: AnyProjection, generation: number): Promise<boolean> {
    // The new table is read second: it can only have advanced since.
    const old = await this.#positions(this.#of(base).projection);
    const now = await this.#positions(inGeneration(base, generation));
    return old.every((position, partition) => position <= (now[partition] ?? 0));
  }

  /**
   * Switches to this generation, which must be folded as far as the old one. Resolves when the old table is
   * dropped.
   */
  async #change(base: AnyProjection, generation: number): Promise<void> {
    const { projector, events } = this.#options;
    const old = this.#of(base);
    this.#changing.add(base);
    try {
      await events.onSwitch(base.model.name, generation);
      this.#active.set(base, { base, generation, projection: inGeneration(base, generation) });
      await this.#settle();
      projector.release(old.projection);
      await this.#drop(base, old.generation);
    } finally {
      this.#changing.delete(base);
    }
  }

  /** Drops a table after `settleMs`, when no process reads or folds it. */
  async #drop(base: AnyProjection, generation: number): Promise<void> {
    await this.#settle();
    if (this.#stopping.signal.aborted) return;
    await dropOther(this.#options.engine.store, base.model, generation);
  }

  async #settle(): Promise<void> {
    const { settleMs } = this.#options;
    if (settleMs > 0) await delay(settleMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }

  #requestRead(): void {
    this.#mustRead = true;
    this.#options.events.onBegin();
  }

  #requestReadIn(ms: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#requestRead(), ms);
  }
}
