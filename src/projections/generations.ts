import type { UserId } from '../domain/ids.js';
import { usersModel } from './models/users.js';
import type { AnyProjection } from './projection.js';
import { generationOf, type Model, type RowStore, tableOf } from './store/rowStore.js';

/** Which table of a model is read, and which other one is being built, or is left and to be dropped. */
export interface Generation {
  readonly active: number;
  /** Above `active` it is being built; below, it was the active one, and some may still read it. */
  readonly other: number | null;
  /** The other one is built: every owner of partitions folds both, and then they change places. */
  readonly isReady?: boolean;
  /** Counts the changes of this entry: it is the row's offset, so an older entry never wins. */
  readonly changes: number;
}

const generations: Model<Generation> = { name: 'generations', version: 1, indexes: {} };

/** What the store says of each of these models, in their order; one that was never built anew is its generation 0. */
export async function readGenerations(
  store: Pick<RowStore, 'prepare' | 'get'>,
  projections: readonly Pick<AnyProjection, 'model'>[],
): Promise<Generation[]> {
  await store.prepare(generations);
  const keys = projections.map(({ model }) => tableOf(model));
  const rows = await store.get(generations, keys);
  return keys.map((key) => rows.get(key)?.value ?? { active: 0, other: null, changes: 0 });
}

/** The same of one of them. */
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

/** The projection into a table of its own. */
export const inGeneration = (projection: AnyProjection, generation: number): AnyProjection =>
  generation === 0 ? projection : { ...projection, model: generationOf(projection.model, generation) };

/**
 * Takes an erased user's plain name out of every table of users that the store may have: those of earlier versions,
 * which nobody folds any more, and one that is being built, which has not got to the erasure. The table that is read
 * has folded it. To be called with nothing folded that was opened before the key was destroyed and is not written.
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
