import { setTimeout as delay } from 'node:timers/promises';
import { ParleyError } from '../base/errors.js';
import type { UserId } from '../domain/ids.js';
import { type CommitSource, decodeCommit, readRetryingHole } from './commitBuffer.js';
import { usersModel } from './models/userRows.js';
import type { AnyProjection } from './projection.js';
import { Projector } from './projector.js';
import type { ProjectorEngine } from './store/engine.js';
import {
  type AnyModel,
  type Checkpoint,
  generationOf,
  type Model,
  type RowStore,
  tableOf,
} from './store/rowStore.js';

/** The active table of a model, and the other one that is being built or waits to be dropped. */
export interface Generation {
  readonly active: number;
  /** A number above `active` is being built; one below was active, and some process may still read it. */
  readonly other: number | null;
  /** The other table is built. Every owner of partitions folds both until the switch. */
  readonly isReady?: boolean;
  /** The number of changes to this entry. It is the row's offset, so that an older entry never wins. */
  readonly changes: number;
}

const generations: Model<Generation> = { name: 'generations', version: 1, indexes: {} };

/**
 * Reads the generations of these models, in their order. A model that was never rebuilt is in generation 0.
 */
export async function readGenerations(
  store: Pick<RowStore, 'prepare' | 'get'>,
  projections: readonly Pick<AnyProjection, 'model'>[],
): Promise<Generation[]> {
  await store.prepare(generations);
  const keys = projections.map(({ model }) => tableOf(model));
  const rows = await store.get(generations, keys);
  return keys.map((key) => rows.get(key)?.value ?? { active: 0, other: null, changes: 0 });
}

/** Reads the generation of one model. */
export async function readGeneration(
  store: RowStore,
  projection: Pick<AnyProjection, 'model'>,
): Promise<Generation> {
  const [generation] = await readGenerations(store, [projection]);
  if (!generation) throw new RangeError('a model has a generation');
  return generation;
}

/** Writes the entry that follows `before`, unless another process has written one already. */
export async function changeGeneration(
  store: RowStore,
  { model }: Pick<AnyProjection, 'model'>,
  before: Generation,
  change: Partial<Omit<Generation, 'changes'>>,
): Promise<void> {
  const value: Generation = { ...before, ...change, changes: before.changes + 1 };
  const row = { key: tableOf(model), partition: 0, offset: value.changes, value };
  await store.write([{ model: generations, rows: [row], checkpoints: [] }]);
}

/** Returns the projection into the table of this generation. */
const inGeneration = (projection: AnyProjection, generation: number): AnyProjection =>
  generation === 0 ? projection : { ...projection, model: generationOf(projection.model, generation) };

/**
 * Removes an erased user's name from the index of every users table that the store may hold. These are the
 * tables of earlier versions and one that is being built. The active table has folded the erasure. The caller
 * must first write everything that was folded before the key was destroyed.
 */
export async function eraseUsername(store: RowStore, userId: UserId): Promise<void> {
  const versions = Array.from({ length: usersModel.version }, (_, i) => ({
    model: { ...usersModel, version: i + 1 },
  }));
  const generations = await readGenerations(store, versions);
  for (const [i, { model }] of versions.entries()) {
    const { active = 0, other = null } = generations[i] ?? {};
    for (const generation of new Set([0, active, other ?? 0]))
      await store.removeIndexEntries(generationOf(model, generation), userId, 'suffix');
  }
  await store.scrub();
}

/**
 * Commits of one partition that one step folds. A step pauses the live projections for a few tens of
 * milliseconds.
 */
const STEP_COMMITS = 16;

/**
 * Rebuilds one projection from position 1 in a new table, beside the table that is read. It has its own
 * projector and folds all partitions, whichever node owns them.
 */
export class Rebuild {
  private constructor(
    /** The projection in generation 0. */
    readonly base: AnyProjection,
    /** The projection into the new table. */
    readonly projection: AnyProjection,
    readonly generation: number,
    private readonly projector: Projector,
    private readonly log: CommitSource,
    private readonly partitions: number,
  ) {}

  /**
   * Begins a rebuild, or continues one that was interrupted. Two processes may run the same rebuild. Throws
   * `conflict` while some process may still read the model's old table.
   */
  static async begin(
    { store, log, partitions }: Omit<ProjectorEngine, 'checkpoints' | 'close'>,
    base: AnyProjection,
  ): Promise<Rebuild> {
    const now = await readGeneration(store, base);
    if (now.other !== null && now.other < now.active)
      throw new ParleyError(
        'conflict',
        `a process may still read the old table of ${base.model.name}; try again later`,
      );
    const generation = now.active + 1;
    if (now.other === null) await changeGeneration(store, base, now, { other: generation });
    const projection = inGeneration(base, generation);
    const projector = await Projector.open(store, [projection], partitions);
    return new Rebuild(base, projection, generation, projector, log, partitions);
  }

  /** Folds and writes the next commits of each partition. After an error call `reset`, then `step` again. */
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

  /** Whether the new table holds everything up to the positions of `live`. */
  hasCaughtUp(live: Pick<Projector, 'position'>): boolean {
    for (let partition = 0; partition < this.partitions; partition++)
      if (this.projector.position(partition) < live.position(partition)) return false;
    return true;
  }
}

/**
 * Marks the new table as built. Each process that folds the active table then folds this one too, once it
 * reads the mark.
 */
export async function markReady(store: RowStore, base: AnyProjection, built: number): Promise<void> {
  const now = await readGeneration(store, base);
  if (now.other === built && now.active < built) await changeGeneration(store, base, now, { isReady: true });
}

/** Makes the new table the active one. The old one remains until `dropOther`. */
export async function switchGeneration(store: RowStore, base: AnyProjection, active: number): Promise<void> {
  const now = await readGeneration(store, base);
  // Another process may have switched already, and may even have begun the next rebuild.
  if (now.other === active && now.active < active)
    await changeGeneration(store, base, now, { active, other: now.active, isReady: false });
}

/** Drops this inactive table of a model, unless the store no longer lists it as the other one. */
export async function dropOther(store: RowStore, base: AnyProjection, dropped: number): Promise<void> {
  const now = await readGeneration(store, base);
  if (now.other !== dropped) return;
  await store.drop(inGeneration(base, dropped).model);
  await changeGeneration(store, base, now, { other: null, isReady: false });
}

/** A projection into the table that queries read. */
export interface ActiveProjection {
  /** The projection in generation 0. */
  readonly base: AnyProjection;
  readonly generation: number;
  readonly projection: AnyProjection;
}

/** Callbacks of `ActiveTables`. */
export interface TableEvents {
  /** Makes later reads use this generation. Resolves when no read of another generation is open. */
  onSwitch(name: string, generation: number): Promise<void>;
  /** Progress of this table counts from now on. It may never have been reported. */
  onSwitched(projection: AnyProjection): void;
  /** The live projector has one more projection and must restart at the checkpoints. */
  onAdopted(): void;
}

export interface ActiveTablesOptions<E extends TableEvents = TableEvents> {
  readonly engine: Omit<ProjectorEngine, 'close'>;
  /** The projector of the live tables. */
  readonly projector: Projector;
  readonly active: readonly ActiveProjection[];
  /** Milliseconds after which every process has read a change of generation. 0: there is no other process. */
  readonly settleMs: number;
  readonly events: E;
}

/** Knows which tables this process reads and folds, and switches between them. */
export class ActiveTables {
  readonly #options: ActiveTablesOptions;
  /** The active table, by the projection in generation 0. */
  readonly #active: Map<AnyProjection, ActiveProjection>;
  /** The live projector's projections, by model name. */
  readonly #tables = new Map<string, AnyProjection>();
  readonly #changing = new Set<AnyProjection>();
  readonly #stopping = new AbortController();

  constructor(options: ActiveTablesOptions) {
    this.#options = options;
    this.#active = new Map(options.active.map((active) => [active.base, active]));
    for (const { projection } of options.active) this.#tables.set(projection.model.name, projection);
  }

  /** Ends every switch that is under way where it is. */
  stop(): void {
    this.#stopping.abort();
  }

  /** The projections in generation 0. */
  get bases(): readonly AnyProjection[] {
    return [...this.#active.keys()];
  }

  /** Each model's name with its active table. */
  current(): { readonly name: string; readonly model: AnyModel }[] {
    const all = [...this.#active.values()];
    return all.map(({ base, projection: { model } }) => ({ name: base.model.name, model }));
  }

  /** The model's name if this projection folds its active table. */
  nameOf(projection: AnyProjection): string | undefined {
    const all = [...this.#active.values()];
    return all.find((active) => active.projection === projection)?.base.model.name;
  }

  /** The active table of this projection. */
  of(base: AnyProjection): ActiveProjection {
    return this.#active.get(base) ?? { base, generation: 0, projection: base };
  }

  /** Whether the model's previous table is still folded, or waits to be dropped. */
  isChanging(base: AnyProjection): boolean {
    return this.#changing.has(base);
  }

  /** Begins to fold this generation too. Must not be called while the live projector works. */
  async adopt(base: AnyProjection, generation: number): Promise<void> {
    const { projector, events } = this.#options;
    const projection = this.#table(base, generation);
    if (projector.has(projection)) return;
    await projector.adopt(projection);
    events.onAdopted();
  }

  /** Reads the checkpoints of this table in the store, by partition. Another node may have written them. */
  checkpoints({ model }: AnyProjection): Promise<Checkpoint[]> {
    const { engine } = this.#options;
    const places = Array.from({ length: engine.partitions }, (_, partition) => ({ model, partition }));
    return engine.checkpoints(places);
  }

  /** Whether this generation holds everything that the active one holds. */
  async isAsFar(base: AnyProjection, generation: number): Promise<boolean> {
    // The new table is read second: it can only have advanced since.
    const old = await this.checkpoints(this.of(base).projection);
    const now = await this.checkpoints(this.#table(base, generation));
    return old.every(({ position }, partition) => position <= (now[partition]?.position ?? 0));
  }

  /**
   * Switches to this generation, which must be folded as far as the old one. Resolves when the old table is
   * dropped.
   */
  async change(base: AnyProjection, generation: number): Promise<void> {
    const { projector, events } = this.#options;
    const old = this.of(base);
    const projection = this.#table(base, generation);
    this.#changing.add(base);
    try {
      await events.onSwitch(base.model.name, generation);
      // Only now: the new table may be ahead, and a reader of the old table must not see that progress.
      this.#active.set(base, { base, generation, projection });
      events.onSwitched(projection);
      await this.#settle();
      projector.release(old.projection);
      await this.drop(base, old.generation);
    } finally {
      this.#changing.delete(base);
    }
  }

  /** Drops a table after `settleMs`, when no process reads or folds it. */
  async drop(base: AnyProjection, generation: number): Promise<void> {
    await this.#settle();
    if (this.#stopping.signal.aborted) return;
    await dropOther(this.#options.engine.store, base, generation);
    this.#tables.delete(inGeneration(base, generation).model.name);
  }

  /** Returns one object for each table: the live projector compares projections by identity. */
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

/** Reads the active generation of each projection from the store. */
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
