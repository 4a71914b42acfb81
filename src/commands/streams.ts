import type { StreamName } from '../events/ids.js';
import type { Recorded } from '../events/types.js';
import type { StateRow } from '../projections/readModels.js';
import { type Fold, foldFor, type State } from './aggregates.js';
import type { Tail } from './tail.js';

/** One stream as its writer knows it: the state after every event decided so far. */
export class Stream {
  version = 0;
  state: State;
  /** False until its row and tail are folded. */
  loaded = false;
  /** Has events that are not durable yet. */
  dirty = false;
  /** How many commands on their way refer to it. */
  uses = 0;
  readonly #fold: Fold;

  constructor(readonly name: StreamName) {
    this.#fold = foldFor(name);
    this.state = this.#fold.initial;
  }

  /** Row at its offset, then the tail above it. */
  load(row: StateRow | undefined, tail: Tail): void {
    if (row?.value) {
      this.version = row.value.version;
      this.state = row.value.state;
    }
    const offset = row?.offset ?? -1;
    for (const event of tail.of(this.name)) if (event.offset > offset) this.evolve(event);
    this.loaded = true;
  }

  evolve(event: Recorded): void {
    if (event.version !== this.version + 1)
      throw new Error(`${this.name} goes from version ${this.version} to ${event.version}`);
    this.version = event.version;
    this.state = this.#fold.evolve(this.state, event);
  }
}

/**
 * The streams that were used last. One in use is never evicted: there is one object a stream at any time, or two
 * commands would decide against two states of it.
 */
export class StreamCache {
  readonly #streams = new Map<StreamName, Stream>();

  /** `capacity`: how many to keep beside those in use. */
  constructor(readonly capacity: number) {}

  /** The stream, for one more use; not loaded if it is new here. */
  acquire(name: StreamName): Stream {
    const stream = this.#streams.get(name) ?? new Stream(name);
    // Moved to the end: the map is in the order of last use.
    this.#streams.delete(name);
    this.#streams.set(name, stream);
    stream.uses++;
    return stream;
  }

  /** Ends one use. One that was never loaded is forgotten with its last. */
  release(stream: Stream): void {
    stream.uses--;
    if (stream.uses === 0 && !stream.loaded) this.#streams.delete(stream.name);
    if (this.#streams.size > this.capacity) this.#evict();
  }

  #evict(): void {
    for (const [name, { uses }] of this.#streams) {
      if (this.#streams.size <= this.capacity) return;
      if (uses === 0) this.#streams.delete(name);
    }
  }
}
