import { foldTouching, keysTouched, type Rows, touchingOf } from '../projections/fold.js';
import type { AnyProjection, Folded } from '../projections/projection.js';
import type { Model, ModelWrite, RowStore } from '../projections/rows.js';

/**
 * The rows that events make of those that are in a store. Others may fold into the same store, each in its turn: nothing
 * is remembered from one call to the next. Events that were folded before change nothing.
 */
export async function foldFresh(
  store: RowStore,
  projection: AnyProjection,
  events: readonly Folded[],
): Promise<ModelWrite> {
  const touching = touchingOf(projection, events);
  const rows: Rows = new Map();
  if (touching.length > 0) {
    // A table's rows are of its model; the projection alone looks into them.
    const model = projection.model as Model<unknown>;
    const known = await store.get(model, [...keysTouched(touching)]);
    foldTouching(projection, touching, (key) => known.get(key), rows);
  }
  return { model: projection.model, rows: [...rows.values()], checkpoints: [] };
}
