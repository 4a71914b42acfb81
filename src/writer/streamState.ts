import { Deque } from '../base/collections.js';
import { decodeLeaf } from '../domain/codec.js';
import type { NewEventOf, SealedMessage } from '../domain/defineEvent.js';
import {
  changedBy,
  changeMessage,
  declarationOf,
  type EventType,
  kindOf,
  type Recorded,
  type State,
} from '../domain/events.js';
import { GroupMembers } from '../domain/groups/groupMembers.js';
import { type Group, membersOf } from '../domain/groups/groupState.js';
import type { MessageRef, StreamName } from '../domain/ids.js';
import { messageTerm } from '../domain/messages/sealedMessages.js';
import { isGroup } from '../domain/streams.js';
import { changedMembership, membershipKey } from '../projections/models/membershipRows.js';
import type { StoredMember, StoredState } from '../projections/models/streamIndex.js';

/** What a stream takes in memory beside the members of a group. */
export const STREAM_BYTES = 1024;

/** About how many bytes a state takes. A group of 1,000 takes 64 times as much as a private room. */
function bytesOf(state: State): number {
  if (!isGroup(state)) return STREAM_BYTES;
  const { texts, members } = state;
  return STREAM_BYTES + texts.name.length + (texts.about?.length ?? 0) + (members?.bytes ?? 0);
}

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
  /** About how many bytes it takes, as of the end of its last use. */
  bytes = STREAM_BYTES;

  /** `onGrow` is told by how many bytes it has grown, or shrunk. */
  constructor(
    readonly name: StreamName,
    private readonly onGrow: (bytes: number) => void,
  ) {
    this.state = kindOf(name).initial;
  }

  /** Ends a use. */
  release(): void {
    this.uses--;
    const now = bytesOf(this.state);
    if (now === this.bytes) return;
    this.onGrow(now - this.bytes);
    this.bytes = now;
  }

  /** Folds the row at its offset, then the later events of the tail. */
  load(row: StoredState | undefined, tail: Tail): void {
    if (row?.value) {
      this.version = row.value.version;
      this.state = row.value.state;
    }
    const offset = row?.offset ?? -1;
    const events = tail.eventsOf(this.name);
    for (const event of events) if (event.offset > offset) this.evolve(event);
    if (row?.members && isGroup(this.state))
      this.state = { ...this.state, members: loadMembers(this.state, row.members, events) };
    this.isLoaded = true;
  }

  /** Lets later decisions see an event that is recorded at the end of its commit, and evolves the state again then. */
  preview({ type, data }: NewEventOf<string, object>): void {
    const { evolve } = declarationOf(type as EventType); // Deciders make declared events.
    // The fold of such an event uses its data alone.
    this.state = evolve?.(this.state, { type, data } as Recorded) ?? this.state;
  }

  evolve(event: Recorded): void {
    if (event.version !== this.version + 1)
      throw new Error(`stream ${this.name} goes from version ${this.version} to ${event.version}`);
    this.version = event.version;
    this.state = declarationOf(event.type).evolve?.(this.state, event) ?? this.state;
  }
}

/** The members of a group from their rows, each completed by the later events of the tail that change it. */
function loadMembers(
  group: Group,
  stored: readonly StoredMember[],
  events: readonly Recorded[],
): GroupMembers {
  const offsets = new Map<string, number>();
  let members = GroupMembers.none;
  for (const { userId, offset, member } of stored) {
    members = members.with(userId, member);
    offsets.set(membershipKey(group.roomId, userId), offset);
  }
  let state: State = { ...group, members };
  for (const event of events) {
    const key = changedMembership(event);
    if (key !== undefined && event.offset > (offsets.get(key) ?? -1))
      state = declarationOf(event.type).evolve?.(state, event) ?? state;
  }
  return membersOf(isGroup(state) ? state : group);
}

/**
 * Evicts streams that were not used again lately, but never one in use. A stream must have only one object at a time, or two
 * commands would decide against two states.
 */
export class StreamCache {
  readonly #streams = new Map<StreamName, StreamState>();
  #bytes = 0;

  /** Streams are kept up to `maxBytes`, unless more are in use. */
  constructor(readonly maxBytes: number) {}

  /** About how many bytes all streams take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the stream and counts a use, which ends with `uses--`. A new one is not loaded. */
  acquire(name: StreamName): StreamState {
    let stream = this.#streams.get(name);
    if (stream) stream.isRecent = true;
    else {
      this.#count(STREAM_BYTES);
      if (this.#bytes > this.maxBytes) this.#evict();
      stream = new StreamState(name, this.#count);
      this.#streams.set(name, stream);
    }
    stream.uses++;
    return stream;
  }

  /** Ends a use of a stream that could not be loaded. */
  abandon(stream: StreamState): void {
    stream.release();
    if (stream.uses === 0 && !stream.isLoaded && this.#streams.delete(stream.name))
      this.#count(-stream.bytes);
  }

  readonly #count = (bytes: number): void => {
    this.#bytes += bytes;
  };

  /** Makes room for one that was counted. Looks at streams in a circle, and passes each once that was used since the last look. */
  #evict(): void {
    let looks = 2 * this.#streams.size;
    for (const [name, stream] of this.#streams) {
      if (this.#bytes <= this.maxBytes || looks-- === 0) return;
      this.#streams.delete(name);
      if (stream.uses === 0 && !stream.isRecent) {
        this.#count(-stream.bytes);
        continue;
      }
      stream.isRecent = false;
      this.#streams.set(name, stream);
    }
  }
}

const NO_EVENTS: readonly Recorded[] = [];
/** As many events as a commit may have, so that the tail never grows while the read models keep up. */
const TRIMMED_AT_ONCE = 256;
/** Streams without held events are forgotten when there are this many more streams than events. */
const SPARE_STREAMS = 1024;

/**
 * A partition's newest events: at least all that the read models may not have stored. A look-up notes the tail's floor,
 * queries the read models, and reads the tail last; until then nothing above that floor may be trimmed. So an event
 * that the query missed is still in the tail, however far the read models have advanced.
 *
 * Events are held as their leaves: an event's objects would take six times as much memory, which the collector of
 * garbage copies twice. Few events are read again.
 */
export class Tail {
  readonly #leaves = new Deque<string>();
  /** For each leaf, the offset of the event before it in its stream; -1 if the tail held none. */
  readonly #before = new Deque<number>();
  /** The offset of each stream's newest event. That event may be trimmed already. */
  readonly #newest = new Map<StreamName, number>();
  /** By `messageTerm`, the offsets of the events that change the message; ordered by the last one. */
  readonly #changes = new Map<string, readonly number[]>();
  /** The size of the leaves of the events held. */
  bytes = 0;
  /** The offset of the next event. */
  #end: number;

  /** `floor` is the offset below which the read models have stored everything. */
  constructor(
    readonly partition: number,
    public floor: number,
  ) {
    this.#end = floor;
  }

  /** The number of events held. */
  get length(): number {
    return this.#end - this.floor;
  }

  /** Events must come in the order of their offsets, without a hole. `leaf` is the event's stored text. */
  add(event: Recorded, leaf: string): void {
    const { offset, stream } = event;
    if (offset !== this.#end)
      throw new RangeError(`offset ${offset} does not follow the tail's ${this.#end - 1}`);
    this.#end++;
    this.#leaves.push(leaf);
    this.#before.push(this.#newest.get(stream) ?? -1);
    this.#newest.set(stream, offset);
    this.bytes += Buffer.byteLength(leaf);
    const message = changedBy(event);
    if (!message) return;
    const term = messageTerm(message);
    const known = this.#changes.get(term) ?? [];
    this.#changes.delete(term);
    this.#changes.set(term, [...known.filter((one) => one >= this.floor), offset]);
  }

  /** The held event at this offset; undefined if it is not held. */
  at(offset: number): Recorded | undefined {
    const leaf = this.#leaves.at(offset - this.floor);
    return leaf === undefined || offset < this.floor ? undefined : decodeLeaf(leaf, this.partition, offset);
  }

  /** Returns the held events of one stream, in order. */
  eventsOf(stream: StreamName): readonly Recorded[] {
    let offset = this.#newest.get(stream) ?? -1;
    if (offset < this.floor) return NO_EVENTS;
    const events: Recorded[] = [];
    for (let event = this.at(offset); event; event = this.at(offset)) {
      events.push(event);
      offset = this.#before.at(offset - this.floor) ?? -1;
    }
    return events.reverse();
  }

  /** The held events that change a message, in order. The message itself may not be held any more. */
  changesOf(message: MessageRef): readonly Recorded[] {
    if (this.#changes.size === 0) return NO_EVENTS;
    return (this.#changes.get(messageTerm(message)) ?? []).flatMap((offset) => this.at(offset) ?? []);
  }

  /** A message as it is now, from what it was after the event at `offset`. */
  completeMessage(message: SealedMessage, offset: number): SealedMessage {
    return this.changesOf(message)
      .filter((event) => event.offset > offset)
      .reduce((now, event) => changeMessage(now, event), message);
  }

  /**
   * Drops the first events below `size`, which the read models have stored: at most `TRIMMED_AT_ONCE`, because a second
   * of events would hold up all sockets. Call it again for more.
   */
  trim(size: number): void {
    const floor = Math.min(size, this.floor + Math.min(this.length, TRIMMED_AT_ONCE));
    for (; this.floor < floor; this.floor++) {
      this.bytes -= Buffer.byteLength(this.#leaves.shift() ?? '');
      this.#before.shift();
    }
    for (const [message, offsets] of this.#changes) {
      if ((offsets.at(-1) ?? 0) >= this.floor) break;
      this.#changes.delete(message);
    }
    if (this.#newest.size < this.length + SPARE_STREAMS) return;
    for (const [stream, offset] of this.#newest) if (offset < this.floor) this.#newest.delete(stream);
  }
}
