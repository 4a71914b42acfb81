import { ParleyError } from '../errors.js';
import { frameOf, type LogSource, readOverGap } from './frame.js';
import { changeGeneration, inGeneration, readGeneration } from './generations.js';
import type { AnyProjection } from './projection.js';
import { Projector } from './projector.js';
import type { RowStore } from './rows.js';

/** Commits of a partition that one step folds: a pause of the live projections, a few tens of milliseconds. */
const stepCommits = 16;

/**
 * One projection built anew from position 1, in a table beside the one that is read. It has a projector of its
 * own until it has caught up with the live one, which then folds both; so at the switch the new table is at least
 * as far as the old one ever was for a reader.
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

  /** Throws `conflict` while the model's other table is still being built or dropped. */
  static async begin(
    store: RowStore,
    base: AnyProjection,
    log: LogSource,
    partitions: number,
  ): Promise<Rebuild> {
    const now = await readGeneration(store, base);
    if (now.other !== null)
      throw new ParleyError('conflict', `${base.model.name} is being rebuilt, or its old table dropped`);
    const generation = now.active + 1;
    await changeGeneration(store, base, now, { other: generation });
    const projection = inGeneration(base, generation);
    const projector = await Projector.open(store, [projection], partitions);
    return new Rebuild(base, projection, generation, projector, log, partitions);
  }

  /** Folds and writes the next commits of each partition. After an error call `reset`, then go on. */
  async step(): Promise<void> {
    for (let partition = 0; partition < this.partitions; partition++) {
      const after = this.projector.position(partition);
      const commits = await readOverGap(this.log, partition, after, stepCommits);
      await this.projector.fold(commits.map(frameOf));
    }
    await this.projector.write();
  }

  reset(): Promise<void> {
    return this.projector.reset();
  }

  /** Whether all that `live` has folded is in the new table. */
  hasCaughtUp(live: Projector): boolean {
    for (let partition = 0; partition < this.partitions; partition++)
      if (this.projector.position(partition) < live.position(partition)) return false;
    return true;
  }
}

/** Makes the new table the one that is read; the old one is left to be dropped. */
export async function switchGeneration(store: RowStore, base: AnyProjection, active: number): Promise<void> {
  const now = await readGeneration(store, base);
  if (now.active !== active) await changeGeneration(store, base, now, { active, other: now.active });
}

/** Drops what nobody reads of a model: after a switch, and what an interrupted rebuild left. */
export async function dropOther(store: RowStore, base: AnyProjection): Promise<void> {
  const now = await readGeneration(store, base);
  if (now.other === null) return;
  await store.drop(inGeneration(base, now.other).model);
  await changeGeneration(store, base, now, { other: null });
}
