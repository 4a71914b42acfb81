import { ParleyError } from '../errors.js';
import { frameOf, type LogSource, readOverGap } from './frame.js';
import { changeGeneration, inGeneration, readGeneration } from './generations.js';
import type { AnyProjection } from './projection.js';
import { Projector } from './projector.js';
import type { RowStore } from './rows.js';

/** Commits of a partition that one step folds: a pause of the live projections, a few tens of milliseconds. */
const stepCommits = 16;

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
    store: RowStore,
    base: AnyProjection,
    log: LogSource,
    partitions: number,
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
      const commits = await readOverGap(this.log, partition, after, stepCommits);
      await this.projector.fold(commits.map(frameOf));
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
