import { ParleyError } from '../base/errors.js';
import {
  ActiveTables,
  type ActiveTablesOptions,
  markReady,
  Rebuild,
  switchGeneration,
  type TableEvents,
} from './activeTables.js';
import { readGenerations } from './generations.js';
import type { SideWork } from './projectorLoop.js';

/** How often it is looked whether a table is as far as another; it waits for no more than what is being written. */
const RETRY_MS = 100;
/** How many times within `settleMs` each process looks at the generations. */
const READS_PER_SETTLE = 3;

interface RebuilderEvents extends TableEvents {
  /** What is left over could not be dropped; it is tried again at the next start. */
  onRetry(error: unknown): void;
  /** There is a step to do. */
  onBegin(): void;
}

type RebuilderOptions = ActiveTablesOptions<RebuilderEvents>;

interface Job {
  readonly rebuild: Rebuild;
  readonly done: () => void;
  /** Since when the new table is folded with the old one; monotonic milliseconds. */
  readySince: number | undefined;
}

/**
 * Builds projections anew, one at a time, between the turns of the live projector; and follows what other processes
 * rebuild. Nobody may read a table in which something is missing that was said to be there, so it goes in steps, each
 * begun only when every process has learned of the one before, by looking into the store a few times within
 * `settleMs`:
 * 1. One process builds the new table, of all partitions.
 * 2. It is marked ready: every owner folds both tables, rows of both before the checkpoints of either.
 * 3. The new one is as far as the old one and becomes the active one. Each process reads it from when it sees that,
 *    and folds the old one on, for those who have not seen it.
 * 4. The old one is folded no more, and later dropped.
 * A process that learns nothing for longer than that, as its store is away or it stands still, has lost its leases by
 * then, so it decides nothing by what it reads.
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

  /** Begins to follow other processes, and drops what an earlier one has left. */
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
   * Resolves when all later reads are of a table built from position 1, in every process, and the old one is dropped.
   * Throws `not_found`, or `conflict` while another rebuild is under way.
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
    // First where the old one is, then the step: so it cannot run away.
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

  /** What other processes have changed. */
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

  /** What an earlier process has left. What is being built may be another's work: a rebuild goes on with it. */
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
