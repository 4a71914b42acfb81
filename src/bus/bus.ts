import type { Recorded } from '../events/types.js';
import type { Commit } from '../log/log.js';

/** A durable commit on its way to the gateways and projectors: never what decides whether it exists. */
export interface CommitFrame extends Commit {
  /** Its leaves, decoded. */
  readonly events: readonly Recorded[];
}

/**
 * A doorbell: frames may be lost, repeated or late between nodes, so every consumer checks contiguity
 * and reads what it missed from the log. In one process they arrive at once and in order.
 */
export interface Bus {
  publish(frame: CommitFrame): void;
  /** Returns the function that ends the subscription. */
  subscribe(handler: (frame: CommitFrame) => void): () => void;
}
