import type { Recorded } from '../events/types.js';
import type { AnyProjection, Folded, Touched } from './projection.js';
import type { Row } from './rows.js';

export type Rows = Map<string, Row<unknown>>;

/** The keys of the rows that events touch, each once. */
export function keysTouched(projection: AnyProjection, events: readonly Recorded[]): Set<string> {
  const keys = new Set<string>();
  for (const event of events) for (const key of projection.keys(event)) keys.add(key);
  return keys;
}

/**
 * Folds events, in their order, into `changed`; `known` gives the rows as they were before. A row that has seen an
 * event already skips it. An insert-only row is what its first event made of it.
 */
export function foldEvents(
  projection: AnyProjection,
  events: readonly Folded[],
  known: (key: string) => Row<unknown> | undefined,
  changed: Rows,
): void {
  const isInsertOnly = projection.model.insertOnly === true;
  for (const event of events) {
    const touched: Touched = (key) => {
      const row = changed.get(key) ?? known(key);
      return row?.offset === event.offset ? row.value : undefined;
    };
    for (const key of projection.keys(event)) {
      const row = changed.get(key) ?? known(key);
      if (row && (isInsertOnly || row.offset >= event.offset)) continue;
      const { partition, offset } = event;
      changed.set(key, { key, partition, offset, value: projection.evolve(row?.value, event, key, touched) });
    }
  }
}
