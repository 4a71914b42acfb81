import type { Recorded } from '../events/types.js';
import type { Model } from './rows.js';

/**
 * A pure fold from events to rows. The value of a row at an offset is a function of the log alone,
 * so repeats, other batch boundaries and two projectors at once are harmless.
 */
export interface Projection<R> {
  readonly model: Model<R>;
  /** The rows an event touches; all of one partition: the event's. */
  keys(event: Recorded): readonly string[];
  /** The row after the event; `null` is a tombstone; `undefined`: no row yet. Never mutates `value`. */
  evolve(value: R | null | undefined, event: Recorded, key: string): R | null;
}
