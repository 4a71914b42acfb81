import { ParleyError } from '../base/errors.js';
import {
  ActiveTables,
  type ActiveTablesOptions,
  markReady,
  Rebuild,
  readGenerations,
  switchGeneration,
  type TableEvents,
} from './activeTables.js';
import type { SideWork } from './projectorLoop.js';

/** Interval between checks whether a new table has caught up. */
const RETRY_MS = 100;
/** Reads of the generations within `settleMs`, in each process. */
const READS_PER_SETTLE = 3;

interface RebuilderEvents extends TableEvents {
  /** A table could not be dropped; the next start tries again. */
  onRetry(error: unknown): void;
  /** A step is waiting to run. */
  onBegin(): void;
}

type RebuilderOptions = ActiveTablesOptions<RebuilderEvents>;

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
 * 1. One process builds the new table, of all partitions.
 * 2. It marks the table as ready. Every owner folds both tables, and writes rows of both before the
 *    checkpoints of either.
 * 3. Once the new table has caught up, it becomes the active one. Each process reads it as soon as it sees
 *    that. It also folds the old one, for processes that have not seen it.
 * 4. Nobody folds the old table any more, and it is dropped.
 * A process that cannot read the store for longer than `settleMs` has lost its leases, so it owns no
 * partition.
 */
export class Rebuilder implements SideWork {
  readonly tables: ActiveTables;
  readonly #options: RebuilderOptions;
  #pollTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #mustRead = true;
  #job: Job | undefined;
  #isRebuilding = false;

  constructor(options: RebuilderOptions) {
    this.#options = options;
    this.tables = new ActiveTables(options);
  }

  /** Begins to follow other processes, and drops tables that an earlier process left. */
  start(): void {
    const { settleMs, events } = this.#options;
    if (settleMs > 0) this.#pollTimer = setInterval(() => this.#requestRead(), settleMs / READS_PER_SETTLE);
    this.#dropLeftovers().catch(events.onRetry);
  }

  stop(): void {
    clearInterval(this.#pollTimer);
    clearTimeout(this.#retryTimer);
    this.tables.stop();
  }

  /**
   * Rebuilds a model from position 1. Resolves when every process reads the new table and the old one is
   * dropped. Throws `not_found`, or `conflict` while another rebuild is under way.
   */
  async rebuild(name: string): Promise<void> {
    const { engine, events } = this.#options;
    const base = this.tables.bases.find(({ model }) => model.name === name);
    if (!base) throw new ParleyError('not_found', `there is no projection ${name}`);
    if (this.#isRebuilding) throw new ParleyError('conflict', 'another projection is being rebuilt');
    this.#isRebuilding = true;
    try {
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
    const { rebuild } = job;
    const { store } = this.#options.engine;
    // Read before the step, so that the target cannot run away.
    const old = await this.tables.checkpoints(this.tables.of(rebuild.base).projection);
    await rebuild.step();
    if (!rebuild.hasCaughtUp({ position: (partition) => old[partition]?.position ?? 0 })) return true;
    await markReady(store, rebuild.base, rebuild.generation);
    await this.tables.adopt(rebuild.base, rebuild.generation);
    job.readySince = performance.now();
    return true;
  }

  async #switch(job: Job): Promise<boolean> {
    const { base, generation } = job.rebuild;
    const { engine, settleMs, events } = this.#options;
    const left = (job.readySince ?? 0) + settleMs - performance.now();
    if (left > 0 || !(await this.tables.isAsFar(base, generation))) {
      this.#requestReadIn(Math.max(left, RETRY_MS));
      return false;
    }
    await switchGeneration(engine.store, base, generation);
    this.#job = undefined;
    this.tables.change(base, generation).catch(events.onRetry).finally(job.done);
    return false;
  }

  /** Adopts the changes that other processes have made. */
  async #followGenerations(): Promise<void> {
    const { engine, events } = this.#options;
    const { bases } = this.tables;
    const found = await readGenerations(engine.store, bases);
    for (const [i, base] of bases.entries()) {
      const { active, other, isReady } = found[i] ?? { active: 0, other: null };
      if (this.tables.isChanging(base) || this.#job?.rebuild.base === base) continue;
      if (isReady && other !== null) await this.tables.adopt(base, other);
      if (active === this.tables.of(base).generation) continue;
      await this.tables.adopt(base, active);
      if (await this.tables.isAsFar(base, active)) this.tables.change(base, active).catch(events.onRetry);
      else this.#requestReadIn(RETRY_MS);
    }
  }

  /**
   * Drops tables that an earlier process left. A table that is being built may be another process's work, so
   * a rebuild continues it.
   */
  async #dropLeftovers(): Promise<void> {
    const { engine, settleMs, events } = this.#options;
    const { bases } = this.tables;
    const found = await readGenerations(engine.store, bases);
    for (const [i, base] of bases.entries()) {
      const { active, other } = found[i] ?? { active: 0, other: null };
      if (other !== null && (other < active || settleMs === 0))
        this.tables.drop(base, other).catch(events.onRetry);
    }
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
