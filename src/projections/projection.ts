import type { Recorded } from '../events/types.js';
import type { Hash } from '../log/log.js';
import type { AnyModel, Model } from './rows.js';

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
