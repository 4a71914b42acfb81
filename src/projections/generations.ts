import type { AnyProjection } from './projection.js';
import type { Model, RowStore } from './rows.js';
import { generationOf, tableOf } from './tables.js';

/** Which table of a model is read, and which other one is being built or dropped. */
export interface Generation {
  readonly active: number;
  /** Not read by anybody: begun and not finished, or to be dropped. */
  readonly other: number | null;
  /** Counts the changes of this entry: it is the row's offset, so an older entry never wins. */
  readonly changes: number;
}

const generations: Model<Generation> = { name: 'generations', version: 1, indexes: {} };

/** What the store says of a model; a model that was never built anew is its generation 0. */
export async function readGeneration(store: RowStore, { model }: AnyProjection): Promise<Generation> {
  await store.prepare(generations);
  const row = (await store.get(generations, [tableOf(model)])).get(tableOf(model));
  return row?.value ?? { active: 0, other: null, changes: 0 };
}

/** Writes the entry that follows `before`; the switch from one table to another is this one row. */
export async function changeGeneration(
  store: RowStore,
  { model }: AnyProjection,
  before: Generation,
  change: Partial<Pick<Generation, 'active' | 'other'>>,
): Promise<Generation> {
  const value: Generation = { ...before, ...change, changes: before.changes + 1 };
  const row = { key: tableOf(model), partition: 0, offset: value.changes, value };
  await store.write([{ model: generations, rows: [row], checkpoints: [] }]);
  return value;
}

/** The projection into a table of its own. */
export const inGeneration = (projection: AnyProjection, generation: number): AnyProjection =>
  generation === 0 ? projection : { ...projection, model: generationOf(projection.model, generation) };
