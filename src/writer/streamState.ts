import type { Recorded } from '../domain/events.js';
import type { StreamName } from '../domain/ids.js';
import { messageTerm, type StoredMessage, sealedMessage } from '../domain/pushes.js';
import { type Fold, foldFor, type State } from '../domain/streams.js';
import type { StoredState } from '../projections/models/streamStates.js';

/** One stream as its writer knows it: the state after every event decided so far. */
export class StreamState {
  version = 0;
  state: State;
  /** False until its row and tail are folded. */
  isLoaded = false;
  /** Has events that are not durable yet. */
  isDirty = false;
  /** How many commands on their way refer to it. */
  uses = 0;
  readonly #fold: Fold;

  constructor(readonly name: StreamName) {
    this.#fold = foldFor(name);
    this.state = this.#fold.initial;
  }

  /** Row at its offset, then the tail above it. */
  load(row: StoredState | undefined, tail: Tail): void {
    if (row?.value) {
      this.version = row.value.version;
      this.state = row.value.state;
    }
    const offset = row?.offset ?? -1;
    for (const event of tail.of(this.name)) if (event.offset > offset) this.evolve(event);
    this.isLoaded = true;
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
  readonly #streams = new Map<StreamName, StreamState>();

  /** `capacity`: how many to keep beside those in use. */
  constructor(readonly capacity: number) {}

  /** The stream, for one more use; not loaded if it is new here. */
  acquire(name: StreamName): StreamState {
    const stream = this.#streams.get(name) ?? new StreamState(name);
    // Moved to the end: the map is in the order of last use.
    this.#streams.delete(name);
    this.#streams.set(name, stream);
    stream.uses++;
    return stream;
  }

  /** Ends one use. One that was never loaded is forgotten with its last. */
  release(stream: StreamState): void {
    stream.uses--;
    if (stream.uses === 0 && !stream.isLoaded) this.#streams.delete(stream.name);
    if (this.#streams.size > this.capacity) this.#evict();
  }

  #evict(): void {
    for (const [name, { uses }] of this.#streams) {
      if (this.#streams.size <= this.capacity) return;
      if (uses === 0) this.#streams.delete(name);
    }
  }
}

/** Keeps all that is in the tail now, until everyone who shares it has let go. */
export interface TailPin {
  readonly floor: number;
  holders: number;
}

const NO_EVENTS: readonly Recorded[] = [];

/**
 * A partition's newest events: all that the read models may not have stored yet. A look-up first pins the tail,
 * then asks the read models, and looks into the tail last: whatever they had not stored when they were asked
 * is then still here, however far they have come since.
 */
export class Tail {
  #floor: number;
  readonly #events: Recorded[] = [];
  readonly #streams = new Map<StreamName, Recorded[]>();
  readonly #messages = new Map<string, StoredMessage>();
  // In the order they were taken, so the first has the smallest floor.
  readonly #pins = new Set<TailPin>();

  /** `floor`: the offset below which the read models have stored everything. */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** How many events it holds. */
  get length(): number {
    return this.#events.length;
  }

  /** Events come in the order of their offsets. */
  add(event: Recorded): void {
    this.#events.push(event);
    const stream = this.#streams.get(event.stream);
    if (stream) stream.push(event);
    else this.#streams.set(event.stream, [event]);
    if (event.type === 'MessageSent')
      this.#messages.set(messageTerm(event.data.roomId, event.data.messageId), sealedMessage(event));
  }

  /** The events of one stream that are here, in order. */
  of(stream: StreamName): readonly Recorded[] {
    return this.#streams.get(stream) ?? NO_EVENTS;
  }

  /** A message by its `messageTerm`, if it is here. */
  message(term: string): StoredMessage | undefined {
    return this.#messages.get(term);
  }

  /** To be let go `holders` times. */
  pin(holders: number): TailPin {
    const pin = { floor: this.#floor, holders };
    this.#pins.add(pin);
    return pin;
  }

  unpin(pin: TailPin): void {
    if (--pin.holders === 0) this.#pins.delete(pin);
  }

  /** The read models have stored every offset below `size`: forgets what no pin keeps. */
  trim(size: number): void {
    const [oldest] = this.#pins;
    const floor = Math.min(size, oldest?.floor ?? size);
    if (floor <= this.#floor) return;
    this.#floor = floor;
    // Offsets have no hole: the first tells how many are below the floor.
    const first = this.#events[0]?.offset ?? floor;
    for (const event of this.#events.splice(0, floor - first)) this.#forget(event);
  }

  #forget(event: Recorded): void {
    const stream = this.#streams.get(event.stream);
    if (stream && stream.length > 1) stream.shift();
    else this.#streams.delete(event.stream);
    if (event.type === 'MessageSent')
      this.#messages.delete(messageTerm(event.data.roomId, event.data.messageId));
  }
}
