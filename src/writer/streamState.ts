import { type Fold, foldFor, type Recorded, type State } from '../domain/events.js';
import type { StreamName } from '../domain/ids.js';
import { messageTerm, type StoredMessage, sealedMessage } from '../domain/messages.js';
import type { StoredState } from '../projections/models/streamIndex.js';

/** The state of one stream after every event decided so far. */
export class StreamState {
  version = 0;
  state: State;
  /** False until its row and tail are folded. */
  isLoaded = false;
  /** True while events of it are not yet durable. */
  isDirty = false;
  /** The number of commands in progress that refer to it. */
  uses = 0;
  readonly #fold: Fold;

  constructor(readonly name: StreamName) {
    this.#fold = foldFor(name);
    this.state = this.#fold.initial;
  }

  /** Folds the row at its offset, then the later events of the tail. */
  load(row: StoredState | undefined, tail: Tail): void {
    if (row?.value) {
      this.version = row.value.version;
      this.state = row.value.state;
    }
    const offset = row?.offset ?? -1;
    for (const event of tail.eventsOf(this.name)) if (event.offset > offset) this.evolve(event);
    this.isLoaded = true;
  }

  evolve(event: Recorded): void {
    if (event.version !== this.version + 1)
      throw new Error(`stream ${this.name} goes from version ${this.version} to ${event.version}`);
    this.version = event.version;
    this.state = this.#fold.evolve(this.state, event);
  }
}

/**
 * The least recently used streams are evicted, but never one in use. A stream must have only one object at a
 * time, or two commands would decide against two states.
 */
export class StreamCache {
  readonly #streams = new Map<StreamName, StreamState>();

  /** `capacity` is the number of idle streams kept. */
  constructor(readonly capacity: number) {}

  /** Returns the stream and counts a use. A new one is not loaded. */
  acquire(name: StreamName): StreamState {
    const stream = this.#streams.get(name) ?? new StreamState(name);
    // Keeps the map in order of last use.
    this.#streams.delete(name);
    this.#streams.set(name, stream);
    stream.uses++;
    return stream;
  }

  /** Ends one use. An unloaded stream is removed with its last use. */
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

type Deletion = NonNullable<StoredMessage['deleted']>;

/** Keeps the present tail until all its holders have unpinned it. */
export interface TailPin {
  readonly floor: number;
  holders: number;
}

const NO_EVENTS: readonly Recorded[] = [];

/**
 * A partition's newest events: at least all that the read models may not have stored. A look-up pins the
 * tail, queries the read models, and reads the tail last. So an event that the query missed is still in the
 * tail, however far the read models have advanced.
 */
export class Tail {
  #floor: number;
  readonly #events: { readonly event: Recorded; readonly bytes: number }[] = [];
  #bytes = 0;
  readonly #streams = new Map<StreamName, Recorded[]>();
  readonly #messages = new Map<string, StoredMessage>();
  /** By `messageTerm`, who deleted the message. */
  readonly #deletions = new Map<string, Deletion>();
  // In the order of pinning, so that the first has the smallest floor.
  readonly #pins = new Set<TailPin>();

  /** `floor` is the offset below which the read models have stored everything. */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** The number of events held. */
  get length(): number {
    return this.#events.length;
  }

  /** The size of the leaves of these events. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Events must come in the order of their offsets. `bytes`: the size of the event's leaf. */
  add(event: Recorded, bytes: number): void {
    this.#events.push({ event, bytes });
    this.#bytes += bytes;
    const stream = this.#streams.get(event.stream);
    if (stream) stream.push(event);
    else this.#streams.set(event.stream, [event]);
    if (event.type === 'MessageSent') this.#messages.set(messageTerm(event.data), sealedMessage(event));
    if (event.type === 'MessageDeleted') this.#deletions.set(messageTerm(event.data), { by: event.data.by });
  }

  /** Returns the held events of one stream, in order. */
  eventsOf(stream: StreamName): readonly Recorded[] {
    return this.#streams.get(stream) ?? NO_EVENTS;
  }

  /** Returns a held message by its `messageTerm`. */
  message(term: string): StoredMessage | undefined {
    return this.#messages.get(term);
  }

  /** Returns a held deletion by the message's `messageTerm`. The message itself may not be held any more. */
  deletion(term: string): Deletion | undefined {
    return this.#deletions.get(term);
  }

  /** Must be unpinned `holders` times. */
  pin(holders: number): TailPin {
    const pin = { floor: this.#floor, holders };
    this.#pins.add(pin);
    return pin;
  }

  unpin(pin: TailPin): void {
    if (--pin.holders === 0) this.#pins.delete(pin);
  }

  /** Drops events below `size`, which the read models have stored, unless a pin keeps them. */
  trim(size: number): void {
    const [oldest] = this.#pins;
    const floor = Math.min(size, oldest?.floor ?? size);
    if (floor <= this.#floor) return;
    this.#floor = floor;
    // Offsets have no hole, so that the first offset gives the number of events below the floor.
    const first = this.#events[0]?.event.offset ?? floor;
    for (const { event, bytes } of this.#events.splice(0, floor - first)) {
      this.#bytes -= bytes;
      this.#forget(event);
    }
  }

  #forget(event: Recorded): void {
    const stream = this.#streams.get(event.stream);
    if (stream && stream.length > 1) stream.shift();
    else this.#streams.delete(event.stream);
    if (event.type === 'MessageSent') this.#messages.delete(messageTerm(event.data));
    if (event.type === 'MessageDeleted') this.#deletions.delete(messageTerm(event.data));
  }
}
