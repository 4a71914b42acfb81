import type { Recorded } from '../domain/events.js';
import type { Hash } from '../log/log.js';
import type { AnyModel, Model, Row } from './store/rowStore.js';

/** An event with what is stored of it: a read model may be of the log itself. */
export type Folded = Recorded & {
  /** The very text that is hashed. */
  readonly leaf: string;
  /** Its hash in the Merkle tree, if that has been computed already. */
  readonly leafHash?: Hash | undefined;
  /** The root of the tile that it fills, if it fills one and that has been computed already. */
  readonly tileHash?: Hash | undefined;
  /** Of its commit. */
  readonly position: number;
};

/** The value of a row as it is now, if this very event has changed it: keys are visited in the order of `keys`. */
export type Touched = (key: string) => unknown;

/**
 * A pure fold from events to rows. The value of a row at an offset is a function of the log alone,
 * so repeats, other batch boundaries and two projectors at once are harmless.
 */
export interface Projection<R> {
  readonly model: Model<R>;
  /** The rows an event touches; all of one partition: the event's. */
  keys(event: Recorded): readonly string[];
  /** The row after the event; `null` is a tombstone; `undefined`: no row yet. Never mutates `value`. */
  evolve(value: R | null | undefined, event: Folded, key: string, touched: Touched): R | null;
  /** Whether no later event will touch a row of this value: it is not kept at hand. Without it, none is known to be. */
  isFinished?(value: R): boolean;
  /**
   * Called with the events of a batch before `evolve` is called with the very same objects: fetches what the
   * model's indexes need beside the log (opened names), never what its values are made of. Throws when that
   * cannot be had; the batch is then tried again later, from here.
   */
  prepare?(events: readonly Recorded[]): Promise<void>;
}

/** A projection is handled without its row type where only keys, offsets and JSON matter. */
export type AnyProjection = Omit<Projection<unknown>, 'model'> & { readonly model: AnyModel };

export type Rows = Map<string, Row<unknown>>;

/** An event with the rows that it touches, of which there is one at least. */
export interface TouchingEvent<E extends Recorded = Folded> {
  readonly event: E;
  readonly keys: readonly string[];
}

/** The events that touch rows of a projection. Most projections are about few of them: the rest is not met again. */
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

/** The keys of the rows that are touched, each once. */
export function collectKeys(touching: readonly Pick<TouchingEvent, 'keys'>[]): Set<string> {
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
  touching: readonly TouchingEvent[],
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
  foldTouching(projection, selectTouching(projection, events), known, changed);
}
