import { setTimeout as delay } from 'node:timers/promises';
import { ParleyError } from '../base/errors.js';
import { decodeCommit, type LogSource, readRetryingHole } from './commitBuffer.js';
import { changeGeneration, inGeneration, readGeneration, readGenerations } from './generations.js';
import type { AnyProjection } from './projection.js';
import { Projector } from './projector.js';
import type { ProjectorEngine } from './store/engine.js';
import type { AnyModel, Checkpoint, RowStore } from './store/rowStore.js';

/** Commits of a partition that one step folds: a pause of the live projections, a few tens of milliseconds. */
const STEP_COMMITS = 16;

/**
 * One projection built anew from position 1, in a table beside the one that is read, with a projector of its own: of
 * all partitions, whoever owns them.
 */
export class Rebuild {
  private constructor(
    /** As the program knows it, in generation 0. */
    readonly base: AnyProjection,
    /** The same into the new table. */
    readonly projection: AnyProjection,
    readonly generation: number,
    private readonly projector: Projector,
    private readonly log: LogSource,
    private readonly partitions: number,
  ) {}

  /**
   * Goes on with one that was begun and interrupted, or that another process is at: two are harmless. Throws
   * `conflict` while the model's old table is still being left.
   */
  static async begin(
    { store, log, partitions }: Omit<ProjectorEngine, 'checkpoints' | 'close'>,
    base: AnyProjection,
  ): Promise<Rebuild> {
    const now = await readGeneration(store, base);
    if (now.other !== null && now.other < now.active)
      throw new ParleyError('conflict', `the old table of ${base.model.name} is still being left`);
    const generation = now.active + 1;
    if (now.other === null) await changeGeneration(store, base, now, { other: generation });
    const projection = inGeneration(base, generation);
    const projector = await Projector.open(store, [projection], partitions);
    return new Rebuild(base, projection, generation, projector, log, partitions);
  }

  /** Folds and writes the next commits of each partition. After an error call `reset`, then go on. */
  async step(): Promise<void> {
    for (let partition = 0; partition < this.partitions; partition++) {
      const after = this.projector.position(partition);
      const commits = await readRetryingHole(this.log, partition, after, STEP_COMMITS);
      await this.projector.fold(commits.map(decodeCommit));
    }
    await this.projector.write();
  }

  reset(): Promise<void> {
    return this.projector.reset();
  }

  /** Whether all that `live` has folded, wherever that is, is in the new table. */
  hasCaughtUp(live: Pick<Projector, 'position'>): boolean {
    for (let partition = 0; partition < this.partitions; partition++)
      if (this.projector.position(partition) < live.position(partition)) return false;
    return true;
  }
}

/** Says that the table is built: whoever folds the one that is read folds this one too, from when it learns of it. */
export async function markReady(store: RowStore, base: AnyProjection, built: number): Promise<void> {
  const now = await readGeneration(store, base);
  if (now.other === built && now.active < built) await changeGeneration(store, base, now, { isReady: true });
}

/** Makes the new table the one that is read; the old one is left to be dropped. */
export async function switchGeneration(store: RowStore, base: AnyProjection, active: number): Promise<void> {
  const now = await readGeneration(store, base);
  // Another process may have switched already, and be further still.
  if (now.other === active && now.active < active)
    await changeGeneration(store, base, now, { active, other: now.active, isReady: false });
}

/** Drops this table of a model, which nobody reads, if it is the other one still. */
export async function dropOther(store: RowStore, base: AnyProjection, dropped: number): Promise<void> {
  const now = await readGeneration(store, base);
  if (now.other !== dropped) return;
  await store.drop(inGeneration(base, dropped).model);
  await changeGeneration(store, base, now, { other: null, isReady: false });
}

/** A projection into the table that is read. */
export interface ActiveProjection {
  /** As the program knows it, in generation 0. */
  readonly base: AnyProjection;
  readonly generation: number;
  readonly projection: AnyProjection;
}

/** What the owner of the tables is told. */
export interface TableEvents {
  /** Later reads are of this generation; resolves when no read of another is open any more. */
  onSwitch(name: string, generation: number): Promise<void>;
  /** From now on this one counts; how far it is may not have been told. */
  onSwitched(projection: AnyProjection): void;
  /** The live projector folds one more: it must begin again where its projections are. */
  onAdopted(): void;
}

export interface ActiveTablesOptions<E extends TableEvents = TableEvents> {
  readonly engine: Omit<ProjectorEngine, 'close'>;
  /** The live one. */
  readonly projector: Projector;
  readonly active: readonly ActiveProjection[];
  /** After so long every process has learned what the store says of generations. 0: there is no other. */
  readonly settleMs: number;
  readonly events: E;
}

/** Which tables this process reads and folds, and how it goes over from one to another. */
export class ActiveTables {
  readonly #options: ActiveTablesOptions;
  /** What is read, by the projection as the program knows it. */
  readonly #active: Map<AnyProjection, ActiveProjection>;
  /** The live projector's, by the names of their models. */
  readonly #tables = new Map<string, AnyProjection>();
  readonly #changing = new Set<AnyProjection>();
  readonly #stopping = new AbortController();

  constructor(options: ActiveTablesOptions) {
    this.#options = options;
    this.#active = new Map(options.active.map((active) => [active.base, active]));
    for (const { projection } of options.active) this.#tables.set(projection.model.name, projection);
  }

  /** Every change that is under way ends where it is. */
  stop(): void {
    this.#stopping.abort();
  }

  /** As the program knows them. */
  get bases(): readonly AnyProjection[] {
    return [...this.#active.keys()];
  }

  /** Of each model its name and the one whose table is read. */
  current(): { readonly name: string; readonly model: AnyModel }[] {
    const all = [...this.#active.values()];
    return all.map(({ base, projection: { model } }) => ({ name: base.model.name, model }));
  }

  /** The name of the model if this projection's table is the one that is read. */
  nameOf(projection: AnyProjection): string | undefined {
    const all = [...this.#active.values()];
    return all.find((active) => active.projection === projection)?.base.model.name;
  }

  /** What is read of the model. */
  of(base: AnyProjection): ActiveProjection {
    return this.#active.get(base) ?? { base, generation: 0, projection: base };
  }

  /** Whether the model's table that was read is still folded, or waits to be dropped. */
  isChanging(base: AnyProjection): boolean {
    return this.#changing.has(base);
  }

  /** Folds this generation too. Not to be called while the live projector works. */
  async adopt(base: AnyProjection, generation: number): Promise<void> {
    const { projector, events } = this.#options;
    const projection = this.#table(base, generation);
    if (projector.has(projection)) return;
    await projector.adopt(projection);
    events.onAdopted();
  }

  /** How far this table is by the store's checkpoints, by partition, whoever folds it. */
  checkpoints({ model }: AnyProjection): Promise<Checkpoint[]> {
    const { engine } = this.#options;
    const places = Array.from({ length: engine.partitions }, (_, partition) => ({ model, partition }));
    return engine.checkpoints(places);
  }

  /** Whether this generation has all that the one that is read has. */
  async isAsFar(base: AnyProjection, generation: number): Promise<boolean> {
    // In this order: the second may be further by then, never less far.
    const old = await this.checkpoints(this.of(base).projection);
    const now = await this.checkpoints(this.#table(base, generation));
    return old.every(({ position }, partition) => position <= (now[partition]?.position ?? 0));
  }

  /** Goes over to this generation, which is folded already and as far; resolves when the old one is dropped. */
  async change(base: AnyProjection, generation: number): Promise<void> {
    const { projector, events } = this.#options;
    const old = this.of(base);
    const projection = this.#table(base, generation);
    this.#changing.add(base);
    try {
      await events.onSwitch(base.model.name, generation);
      // Only now: the new table may be ahead, and nobody must be told so who might still read the old one.
      this.#active.set(base, { base, generation, projection });
      events.onSwitched(projection);
      await this.#settle();
      projector.release(old.projection);
      await this.drop(base, old.generation);
    } finally {
      this.#changing.delete(base);
    }
  }

  /** What nobody reads any more is dropped when nobody can be folding it either. */
  async drop(base: AnyProjection, generation: number): Promise<void> {
    await this.#settle();
    if (this.#stopping.signal.aborted) return;
    await dropOther(this.#options.engine.store, base, generation);
    this.#tables.delete(inGeneration(base, generation).model.name);
  }

  /** One object a table, by which the live projector knows it. */
  #table(base: AnyProjection, generation: number): AnyProjection {
    const fresh = inGeneration(base, generation);
    const table = this.#tables.get(fresh.model.name) ?? fresh;
    this.#tables.set(table.model.name, table);
    return table;
  }

  async #settle(): Promise<void> {
    const { settleMs } = this.#options;
    if (settleMs > 0) await delay(settleMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
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
