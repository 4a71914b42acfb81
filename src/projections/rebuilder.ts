import { setTimeout as delay } from 'node:timers/promises';
import { ParleyError } from '../errors.js';
import type { SideWork } from './follower.js';
import type { LogSource } from './frame.js';
import { inGeneration, readGenerations } from './generations.js';
import type { AnyProjection } from './projection.js';
import type { Projector } from './projector.js';
import { dropOther, markReady, Rebuild, switchGeneration } from './rebuild.js';
import type { AnyModel, Checkpoint, RowStore } from './rows.js';

/** How often it is looked whether a table is as far as another; each waits for no more than what is being written. */
const retryMs = 100;
/** How many times within `settleMs` each process looks at the generations. */
const looksWithin = 3;

/** A projection into the table that is read. */
export interface ActiveProjection {
  /** As the program knows it, in generation 0. */
  readonly base: AnyProjection;
  readonly generation: number;
  readonly projection: AnyProjection;
}

interface RebuilderOptions {
  readonly store: RowStore;
  readonly log: LogSource;
  readonly partitions: number;
  /** How far this table is by the store's checkpoints, by partition, whoever folds it. */
  checkpoints(projection: AnyProjection): Promise<readonly Checkpoint[]>;
  /** The live one. */
  readonly projector: Projector;
  readonly active: readonly ActiveProjection[];
  /** After so long every process has learned what the store says of generations. 0: there is no other. */
  readonly settleMs: number;
  /** Later reads are of this generation; resolves when no read of another is open any more. */
  onSwitch(name: string, generation: number): Promise<void>;
  /** From now on this one counts; how far it is may not have been told. */
  onSwitched(projection: AnyProjection): void;
  /** The live projector folds one more: it must begin again where its projections are. */
  onAdopted(): void;
  /** What is left over could not be dropped; it is tried again at the next start. */
  onTrouble(error: unknown): void;
  /** There is a step to do. */
  onBegin(): void;
}

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
  readonly #options: RebuilderOptions;
  /** What is read, by the projection as the program knows it. */
  readonly #active: Map<AnyProjection, ActiveProjection>;
  /** The live projector's, by the names of their models. */
  readonly #tables = new Map<string, AnyProjection>();
  readonly #changing = new Set<AnyProjection>();
  readonly #stopping = new AbortController();
  #looking: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #mustLook = true;
  #job: Job | undefined;
  #isTaken = false;

  constructor(options: RebuilderOptions) {
    this.#options = options;
    this.#active = new Map(options.active.map((active) => [active.base, active]));
    for (const { projection } of options.active) this.#tables.set(projection.model.name, projection);
  }

  /** Begins to follow other processes, and drops what an earlier one has left. */
  start(): void {
    const { settleMs, onTrouble } = this.#options;
    if (settleMs > 0) this.#looking = setInterval(() => this.#lookNow(), settleMs / looksWithin);
    this.#tidy().catch(onTrouble);
  }

  stop(): void {
    clearInterval(this.#looking);
    clearTimeout(this.#again);
    this.#stopping.abort();
  }

  /** Of each model its name and the one whose table is read. */
  current(): { readonly name: string; readonly model: AnyModel }[] {
    return [...this.#active.values()].map(({ base, projection: { model } }) => ({
      name: base.model.name,
      model,
    }));
  }

  /** The name of the model if this projection's table is the one that is read. */
  nameOf(projection: AnyProjection): string | undefined {
    const all = [...this.#active.values()];
    return all.find((active) => active.projection === projection)?.base.model.name;
  }

  /**
   * Resolves when all later reads are of a table built from position 1, in every process, and the old one is dropped.
   * Throws `not_found`, or `conflict` while another rebuild is under way.
   */
  async rebuild(name: string): Promise<void> {
    const { store, log, partitions, onBegin } = this.#options;
    const base = [...this.#active.keys()].find(({ model }) => model.name === name);
    if (!base) throw new ParleyError('not_found', `there is no projection ${name}`);
    if (this.#isTaken) throw new ParleyError('conflict', 'another projection is being rebuilt');
    this.#isTaken = true;
    try {
      const rebuild = await Rebuild.begin(store, base, log, partitions);
      await new Promise<void>((done) => {
        this.#job = { rebuild, done, readySince: undefined };
        onBegin();
      });
    } finally {
      this.#isTaken = false;
    }
  }

  async step(): Promise<boolean> {
    if (this.#mustLook && this.#options.settleMs > 0) await this.#look();
    this.#mustLook = false;
    if (!this.#job) return false;
    return this.#job.readySince === undefined ? this.#build(this.#job) : this.#switch(this.#job);
  }

  async reset(): Promise<void> {
    await this.#job?.rebuild.reset();
  }

  async #build(job: Job): Promise<boolean> {
    const { rebuild } = job;
    const { store, checkpoints } = this.#options;
    // First where the old one is, then the step: so it cannot run away.
    const old = await checkpoints(this.#activeOf(rebuild.base).projection);
    await rebuild.step();
    if (!rebuild.hasCaughtUp({ position: (partition) => old[partition]?.position ?? 0 })) return true;
    await markReady(store, rebuild.base, rebuild.generation);
    await this.#adopt(this.#table(rebuild.base, rebuild.generation));
    job.readySince = performance.now();
    return true;
  }

  async #switch(job: Job): Promise<boolean> {
    const { base, generation } = job.rebuild;
    const { store, settleMs, onTrouble } = this.#options;
    const left = (job.readySince ?? 0) + settleMs - performance.now();
    if (left > 0 || !(await this.#isAsFar(base, generation))) {
      this.#lookIn(Math.max(left, retryMs));
      return false;
    }
    await switchGeneration(store, base, generation);
    this.#job = undefined;
    this.#change(base, generation).catch(onTrouble).finally(job.done);
    return false;
  }

  /** What other processes have changed. */
  async #look(): Promise<void> {
    const { store, onTrouble } = this.#options;
    const bases = [...this.#active.keys()];
    const found = await readGenerations(store, bases);
    for (const [i, base] of bases.entries()) {
      const { active, other, isReady } = found[i] ?? { active: 0, other: null };
      if (this.#changing.has(base) || this.#job?.rebuild.base === base) continue;
      if (isReady && other !== null) await this.#adopt(this.#table(base, other));
      if (active === this.#activeOf(base).generation) continue;
      await this.#adopt(this.#table(base, active));
      if (await this.#isAsFar(base, active)) this.#change(base, active).catch(onTrouble);
      else this.#lookIn(retryMs);
    }
  }

  async #adopt(projection: AnyProjection): Promise<void> {
    const { projector, onAdopted } = this.#options;
    if (projector.has(projection)) return;
    await projector.adopt(projection);
    onAdopted();
  }

  /** Whether this table has all that the one that is read has. */
  async #isAsFar(base: AnyProjection, generation: number): Promise<boolean> {
    const { checkpoints } = this.#options;
    // In this order: the second may be further by then, never less far.
    const old = await checkpoints(this.#activeOf(base).projection);
    const now = await checkpoints(this.#table(base, generation));
    return old.every(({ position }, partition) => position <= (now[partition]?.position ?? 0));
  }

  /** From the table that is read to this one, which is folded already. */
  async #change(base: AnyProjection, generation: number): Promise<void> {
    const { projector, onSwitch, onSwitched, settleMs } = this.#options;
    const old = this.#activeOf(base);
    const projection = this.#table(base, generation);
    this.#changing.add(base);
    try {
      await onSwitch(base.model.name, generation);
      // Only now: the new table may be ahead, and nobody must be told so who might still read the old one.
      this.#active.set(base, { base, generation, projection });
      onSwitched(projection);
      await this.#settle(settleMs);
      projector.release(old.projection);
      await this.#drop(base, old.generation);
    } finally {
      this.#changing.delete(base);
    }
  }

  /** What nobody reads any more is dropped when nobody can be folding it either. */
  async #drop(base: AnyProjection, generation: number): Promise<void> {
    await this.#settle(this.#options.settleMs);
    if (this.#stopping.signal.aborted) return;
    await dropOther(this.#options.store, base, generation);
    this.#tables.delete(inGeneration(base, generation).model.name);
  }

  /** What an earlier process has left. What is being built may be another's work: a rebuild goes on with it. */
  async #tidy(): Promise<void> {
    const { store, settleMs, onTrouble } = this.#options;
    const bases = [...this.#active.keys()];
    const found = await readGenerations(store, bases);
    for (const [i, base] of bases.entries()) {
      const { active, other } = found[i] ?? { active: 0, other: null };
      if (other !== null && (other < active || settleMs === 0)) this.#drop(base, other).catch(onTrouble);
    }
  }

  #activeOf(base: AnyProjection): ActiveProjection {
    return this.#active.get(base) ?? { base, generation: 0, projection: base };
  }

  /** One object a table, by which the live projector knows it. */
  #table(base: AnyProjection, generation: number): AnyProjection {
    const fresh = inGeneration(base, generation);
    const table = this.#tables.get(fresh.model.name) ?? fresh;
    this.#tables.set(table.model.name, table);
    return table;
  }

  #lookNow(): void {
    this.#mustLook = true;
    this.#options.onBegin();
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#lookNow(), ms);
  }

  async #settle(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** Each projection in the generation that the store says is read. */
export async function activeProjections(
  store: RowStore,
  bases: readonly AnyProjection[],
): Promise<ActiveProjection[]> {
  const found = await readGenerations(store, bases);
  return bases.map((base, i) => {
    const generation = found[i]?.active ?? 0;
    return { base, generation, projection: inGeneration(base, generation) };
  });
}
