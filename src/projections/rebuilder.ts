import { ParleyError } from '../errors.js';
import type { SideWork } from './follower.js';
import type { LogSource } from './frame.js';
import { inGeneration, readGeneration } from './generations.js';
import type { AnyProjection } from './projection.js';
import type { Projector } from './projector.js';
import { dropOther, Rebuild, switchGeneration } from './rebuild.js';
import type { AnyModel, RowStore } from './rows.js';

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
  /** The live one. */
  readonly projector: Projector;
  readonly active: readonly ActiveProjection[];
  /** Later reads are of this generation; resolves when no read of another is open any more. */
  onSwitch(name: string, generation: number): Promise<void>;
  /** From now on this one counts; how far it is may not have been told. */
  onSwitched(projection: AnyProjection): void;
  /** What is left over could not be dropped; it is tried again at the next start. */
  onTrouble(error: unknown): void;
  /** There is a first step to do. */
  onBegin(): void;
}

interface Job {
  readonly rebuild: Rebuild;
  readonly done: () => void;
}

/** Builds projections anew, one at a time, between the turns of the live projector. */
export class Rebuilder implements SideWork {
  readonly #options: RebuilderOptions;
  /** The tables that are read, by the projection as the program knows it. */
  readonly #active: Map<AnyProjection, AnyProjection>;
  #job: Job | undefined;
  #isTaken = false;

  constructor(options: RebuilderOptions) {
    this.#options = options;
    this.#active = new Map(options.active.map(({ base, projection }) => [base, projection]));
  }

  /** Of each model its name and the one whose table is read. */
  current(): { readonly name: string; readonly model: AnyModel }[] {
    return [...this.#active].map(([base, { model }]) => ({ name: base.model.name, model }));
  }

  /** The name of the model if this projection's table is the one that is read. */
  nameOf(projection: AnyProjection): string | undefined {
    for (const [base, active] of this.#active) if (active === projection) return base.model.name;
    return undefined;
  }

  /**
   * Resolves when all later reads are of a table built from position 1. Throws `not_found`, or `conflict` while
   * another rebuild is under way.
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
        this.#job = { rebuild, done };
        onBegin();
      });
    } finally {
      this.#isTaken = false;
    }
  }

  async step(): Promise<boolean> {
    if (!this.#job) return false;
    const { rebuild, done } = this.#job;
    const { projector, store } = this.#options;
    if (!projector.has(rebuild.projection)) {
      await rebuild.step();
      if (!rebuild.hasCaughtUp(projector)) return true;
      await projector.adopt(rebuild.projection);
    }
    if (!this.#isAsFar(rebuild)) return false;
    await switchGeneration(store, rebuild.base, rebuild.generation);
    this.#job = undefined;
    this.#leave(rebuild).catch(this.#options.onTrouble).finally(done);
    return false;
  }

  async reset(): Promise<void> {
    await this.#job?.rebuild.reset();
  }

  /** What an error has half written may be ahead in the old table: readers must not go back. */
  #isAsFar({ base, projection }: Rebuild): boolean {
    const { projector } = this.#options;
    const old = this.#active.get(base) ?? base;
    const written = projector.written(projection);
    return projector.written(old).every((size, partition) => size <= (written[partition] ?? 0));
  }

  /** The old table is folded until nobody reads it any more. */
  async #leave({ base, projection, generation }: Rebuild): Promise<void> {
    const { projector, store, onSwitch, onSwitched } = this.#options;
    const old = this.#active.get(base) ?? base;
    await onSwitch(base.model.name, generation);
    // Only now: the new table may be ahead, and nobody must be told so who might still read the old one.
    this.#active.set(base, projection);
    onSwitched(projection);
    projector.release(old);
    await dropOther(store, base);
  }
}

/** Each projection in the generation that the store says is read. */
export function activeProjections(
  store: RowStore,
  bases: readonly AnyProjection[],
): Promise<ActiveProjection[]> {
  return Promise.all(
    bases.map(async (base) => {
      const { active: generation } = await readGeneration(store, base);
      return { base, generation, projection: inGeneration(base, generation) };
    }),
  );
}
