import { setTimeout as delay } from 'node:timers/promises';
import { inGeneration, readGenerations } from './generations.js';
import type { AnyProjection } from './projection.js';
import type { Projector } from './projector.js';
import { dropOther } from './rebuild.js';
import type { AnyModel, Checkpoint, RowStore } from './rows.js';

/** A projection into the table that is read. */
export interface ActiveProjection {
  /** As the program knows it, in generation 0. */
  readonly base: AnyProjection;
  readonly generation: number;
  readonly projection: AnyProjection;
}

export interface ActiveTablesOptions {
  readonly store: RowStore;
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
    const { projector, onAdopted } = this.#options;
    const projection = this.#table(base, generation);
    if (projector.has(projection)) return;
    await projector.adopt(projection);
    onAdopted();
  }

  /** Whether this generation has all that the one that is read has. */
  async isAsFar(base: AnyProjection, generation: number): Promise<boolean> {
    const { checkpoints } = this.#options;
    // In this order: the second may be further by then, never less far.
    const old = await checkpoints(this.of(base).projection);
    const now = await checkpoints(this.#table(base, generation));
    return old.every(({ position }, partition) => position <= (now[partition]?.position ?? 0));
  }

  /** Goes over to this generation, which is folded already and as far; resolves when the old one is dropped. */
  async change(base: AnyProjection, generation: number): Promise<void> {
    const { projector, onSwitch, onSwitched } = this.#options;
    const old = this.of(base);
    const projection = this.#table(base, generation);
    this.#changing.add(base);
    try {
      await onSwitch(base.model.name, generation);
      // Only now: the new table may be ahead, and nobody must be told so who might still read the old one.
      this.#active.set(base, { base, generation, projection });
      onSwitched(projection);
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
    await dropOther(this.#options.store, base, generation);
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
