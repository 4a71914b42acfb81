import { declarationOf, kindOf, type Recorded, type State } from '../domain/events.js';
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
  /** Whether it was used again since the cache last looked for an idle one. */
  isRecent = false;

  constructor(readonly name: StreamName) {
    this.state = kindOf(name).initial;
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
    this.state = declarationOf(event.type).evolve?.(this.state, event) ?? this.state;
  }
}

/**
 * Evicts streams that were not used again lately, but never one in use. A stream must have only one object at a time, or two
 * commands would decide against two states.
 */
export class StreamCache {
  readonly #streams = new Map<StreamName, StreamState>();

  /** `capacity` is the number of streams kept, unless more are in use. */
  constructor(readonly capacity: number) {}

  /** Returns the stream and counts a use, which ends with `uses--`. A new one is not loaded. */
  acquire(name: StreamName): StreamState {
    let stream = this.#streams.get(name);
    if (stream) stream.isRecent = true;
    else {
      if (this.#streams.size >= this.capacity) this.#evict();
      stream = new StreamState(name);
      this.#streams.set(name, stream);
    }
    stream.uses++;
    return stream;
  }

  /** Ends a use of a stream that could not be loaded. */
  abandon(stream: StreamState): void {
    stream.uses--;
    if (stream.uses === 0 && !stream.isLoaded) this.#streams.delete(stream.name);
  }

  /** Makes room. Looks at streams in a circle, and passes each once that was used since the last look. */
  #evict(): void {
    let looks = 2 * this.#streams.size;
    for (const [name, stream] of this.#streams) {
      if (this.#streams.size < this.capacity || looks-- === 0) return;
      this.#streams.delete(name);
      if (stream.uses === 0 && !stream.isRecent) continue;
      stream.isRecent = false;
      this.#streams.set(name, stream);
    }
  }
}

type Deletion = NonNullable<StoredMessage['deleted']>;

const NO_EVENTS: readonly Recorded[] = [];
/** As many events as a commit may have, so that the tail never grows while the read models keep up. */
const TRIMMED_AT_ONCE = 256;

/**
 * A partition's newest events: at least all that the read models may not have stored. A look-up notes the tail's floor,
 * queries the read models, and reads the tail last; until then nothing above that floor may be trimmed. So an event
 * that the query missed is still in the tail, however far the read models have advanced.
 */
export class Tail {
  readonly #events: { readonly event: Recorded; readonly bytes: number }[] = [];
  /** The size of the leaves of the events held. */
  bytes = 0;
  readonly #streams = new Map<StreamName, Recorded[]>();
  readonly #messages = new Map<string, StoredMessage>();
  readonly #deletions = new Map<string, Deletion>();
  /** The messages held, by `messageTerm`. */
  readonly messages: ReadonlyMap<string, StoredMessage> = this.#messages;
  /** Who deleted a message, by `messageTerm`. The message itself may not be held any more. */
  readonly deletions: ReadonlyMap<string, Deletion> = this.#deletions;

  /** `floor` is the offset below which the read models have stored everything. */
  constructor(public floor: number) {}

  /** The number of events held. */
  get length(): number {
    return this.#events.length;
  }

  /** Events must come in the order of their offsets. `bytes`: the size of the event's leaf. */
  add(event: Recorded, bytes: number): void {
    this.#events.push({ event, bytes });
    this.bytes += bytes;
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

  /**
   * Drops the first events below `size`, which the read models have stored: at most `TRIMMED_AT_ONCE`, because a second
   * of events would hold up all sockets for 20 ms. Each later commit drops more.
   */
  trim(size: number): void {
    // Offsets have no hole, so that the first offset gives the number of events below the floor.
    const first = this.#events[0]?.event.offset ?? size;
    const floor = Math.min(size, first + TRIMMED_AT_ONCE);
    if (floor <= this.floor) return;
    this.floor = floor;
    for (const { event, bytes } of this.#events.splice(0, floor - first)) {
      this.bytes -= bytes;
      const stream = this.#streams.get(event.stream);
      if (stream && stream.length > 1) stream.shift();
      else this.#streams.delete(event.stream);
      if (event.type === 'MessageSent') this.#messages.delete(messageTerm(event.data));
      if (event.type === 'MessageDeleted') this.#deletions.delete(messageTerm(event.data));
    }
  }
}
