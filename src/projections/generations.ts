import type { UserId } from '../domain/ids.js';
import { usersModel } from './models/users.js';
import type { AnyProjection } from './projection.js';
import { generationOf, type Model, type RowStore, tableOf } from './store/rowStore.js';

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
export const inGeneration = (projection: AnyProjection, generation: number): AnyProjection =>
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
