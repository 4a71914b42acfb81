import type { Recorded } from '../events/types.js';
import type { AnyProjection, Folded, Touched } from './projection.js';
import type { Row } from './rows.js';

export type Rows = Map<string, Row<unknown>>;

/** An event with the rows that it touches, of which there is one at least. */
export interface Touching<E extends Recorded = Folded> {
  readonly event: E;
  readonly keys: readonly string[];
}

/** The events that touch rows of a projection. Most projections are about few of them: the rest is not met again. */
export function touchingOf<E extends Recorded>(
  projection: AnyProjection,
  events: readonly E[],
): Touching<E>[] {
  const touching: Touching<E>[] = [];
  for (const event of events) {
    const keys = projection.keys(event);
    if (keys.length > 0) touching.push({ event, keys });
  }
  return touching;
}

/** The keys of the rows that are touched, each once. */
export function keysTouched(touching: readonly Pick<Touching, 'keys'>[]): Set<string> {
  const keys = new Set<string>();
  for (const one of touching) for (const key of one.keys) keys.add(key);
  return keys;
}

/**
 * Folds events, in their order, into `changed`; `known` gives the rows as they were before. A row that has seen an
 * event already skips it. An insert-only row is what its first event made of it.
 */
export function foldTouching(
  projection: AnyProjection,
  touching: readonly Touching[],
  known: (key: string) => Row<unknown> | undefined,
  changed: Rows,
): void {
  const isInsertOnly = projection.model.insertOnly === true;
  for (const { event, keys } of touching) {
    const touched: Touched = (key) => {
      const row = changed.get(key) ?? known(key);
      return row?.offset === event.offset ? row.value : undefined;
    };
    for (const key of keys) {
      const row = changed.get(key) ?? known(key);
      if (row && (isInsertOnly || row.offset >= event.offset)) continue;
      const { partition, offset } = event;
      changed.set(key, { key, partition, offset, value: projection.evolve(row?.value, event, key, touched) });
    }
  }
}

/** The same, of events whose rows are not looked for before. */
export function foldEvents(
  projection: AnyProjection,
  events: readonly Folded[],
  known: (key: string) => Row<unknown> | undefined,
  changed: Rows,
): void {
  foldTouching(projection, touchingOf(projection, events), known, changed);
}
