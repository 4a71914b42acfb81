import type { Recorded } from '../domain/events.js';
import type { Hash } from '../log/log.js';
import type { AnyModel, Model, Row, WrittenRow } from './store/rowStore.js';

/** An event with its stored text and its place in the log. */
export type Folded = Recorded & {
  /** The stored JSON text, which is the leaf of the Merkle tree. */
  readonly leaf: string;
  /** Its hash in the Merkle tree, if it is computed already. */
  readonly leafHash?: Hash | undefined;
  /** The root of the tile that this event fills, if it fills one and the root is computed already. */
  readonly tileHash?: Hash | undefined;
  /** The position of its commit. */
  readonly position: number;
};

/**
 * Returns the new value of another row of this event, or undefined if the event has not changed it. Only rows
 * whose keys come earlier in `keys` are visible.
 */
export type Touched = (key: string) => unknown;

/**
 * Folds events into rows, without side effects. The value of a row at an offset depends on the log alone. So
 * repeated events, other batch sizes and two concurrent projectors give the same rows.
 */
export interface Projection<R> {
  readonly model: Model<R>;
  /** The keys of the rows that an event changes. All of them belong to the event's partition. */
  keys(event: Recorded): readonly string[];
  /**
   * Returns the row's value after the event. `null` is a tombstone; `undefined` means that there is no row
   * yet. Never mutates `value`.
   */
  evolve(value: R | null | undefined, event: Folded, key: string, touched: Touched): R | null;
  /**
   * Whether this event makes its rows: no earlier event of the log changes them. Such rows are not read
   * before. By default each row is.
   */
  creates?(event: Recorded): boolean;
  /** Whether later events rarely change a row of this value; such a row leaves the cache. */
  isRarelyChanged?(value: R): boolean;
  /**
   * Fetches what the model's indexes need beside the log, such as opened names. It must not fetch what values
   * are made of. The projector calls it with a batch and the values of the stored rows that the batch changes, then
   * calls `evolve` with the very same objects. If it throws, the projector tries the batch again later.
   */
  prepare?(events: readonly Recorded[], rows: readonly R[]): Promise<void>;
}

/** A projection without its row type, for code that needs only keys, offsets and JSON. */
export type AnyProjection = Omit<Projection<unknown>, 'model'> & { readonly model: AnyModel };

export type Rows = Map<string, WrittenRow>;

/** An event with the keys of the rows that it changes, at least one. */
export interface TouchingEvent<E extends Recorded = Folded> {
  readonly event: E;
  readonly keys: readonly string[];
}

/** Selects the events that change rows of a projection. Most projections ignore most events. */
export function selectTouching<E extends Recorded>(
  projection: AnyProjection,
  events: readonly E[],
): TouchingEvent<E>[] {
  const touching: TouchingEvent<E>[] = [];
  for (const event of events) {
    const keys = projection.keys(event);
    if (keys.length > 0) touching.push({ event, keys });
  }
  return touching;
}

/** Collects the keys of the changed rows, each once. */
export function collectKeys(touching: readonly Pick<TouchingEvent, 'keys'>[]): Set<string> {
  const keys = new Set<string>();
  let last: string | undefined;
  for (const one of touching)
    for (const key of one.keys) {
      // Most events of a batch change the row that the event before has changed.
      if (key === last) continue;
      last = key;
      keys.add(key);
    }
  return keys;
}

/**
 * Folds events, in their order, into `changed`; `known` returns the rows as they were before. A row skips
 * events that it has seen already.
 */
export function foldTouching(
  projection: AnyProjection,
  touching: readonly TouchingEvent[],
  known: (key: string) => Row<unknown> | undefined,
  changed: Rows,
): void {
  let now = -1;
  const touched: Touched = (key) => {
    const row = changed.get(key) ?? known(key);
    return row?.offset === now ? row.value : undefined;
  };
  // The row changed last was made here, so that nobody else has it yet. The next event most often changes it again.
  let last: { -readonly [F in keyof WrittenRow]: WrittenRow[F] } | undefined;
  for (const { event, keys } of touching) {
    const { partition, offset } = event;
    now = offset;
    for (const key of keys) {
      if (last?.key === key) {
        if (last.offset >= offset) continue;
        last.value = projection.evolve(last.value, event, key, touched);
        last.offset = offset;
        continue;
      }
      const unwritten = changed.get(key);
      const row = unwritten ?? known(key);
      if (row && row.offset >= offset) continue;
      const value = projection.evolve(row?.value, event, key, touched);
      last = { key, partition, offset, value, isNew: unwritten ? unwritten.isNew === true : !row };
      changed.set(key, last);
    }
  }
}

/** Selects the events that change rows, then folds them like `foldTouching`. */
export function foldEvents(
  projection: AnyProjection,
  events: readonly Folded[],
  known: (key: string) => Row<unknown> | undefined,
  changed: Rows,
): void {
  foldTouching(projection, selectTouching(projection, events), known, changed);
}
