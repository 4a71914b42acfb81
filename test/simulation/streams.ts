import { changedBy, foldFor, type Recorded, type State } from '../../src/domain/events.js';
import type { StreamName } from '../../src/domain/ids.js';

/** An event with the time since when a majority has it; times are the world's. */
export interface Durable {
  readonly event: Recorded;
  readonly at: number;
}

/** A stream after one of its events, or before the first; `at`: the time since when that is durable. */
export interface Snapshot {
  readonly version: number;
  /** The size of the partition that includes this event; see `Moment`. */
  readonly size: number;
  readonly at: number;
  readonly state: State;
}

/** A stream as the log has it. */
export interface StreamHistory {
  /** By version, from 0 on. */
  readonly snapshots: readonly Snapshot[];
  /** The stream's messages by id; the first one of each. */
  readonly messages: ReadonlyMap<string, Recorded<'MessageSent'>>;
  /** The events that change each message, by its id. */
  readonly changes: ReadonlyMap<string, readonly Recorded[]>;
  /** The stream's events by command. */
  readonly made: ReadonlyMap<string, readonly Durable[]>;
}

/** The stream of these events, in order; without events, a stream that does not exist. */
export function streamOf(name: StreamName, own: readonly Durable[]): StreamHistory {
  const fold = foldFor(name);
  let state = fold.initial;
  const snapshots: Snapshot[] = [{ version: 0, size: 0, at: Number.NEGATIVE_INFINITY, state }];
  const messages = new Map<string, Recorded<'MessageSent'>>();
  for (const { event, at } of own) {
    state = fold.evolve(state, event);
    snapshots.push({ version: event.version, size: event.offset + 1, at, state });
    if (event.type === 'MessageSent' && !messages.has(event.data.messageId))
      messages.set(event.data.messageId, event);
  }
  const events = own.map(({ event }) => event);
  const changes = groupBy(events, (event) => changedBy(event)?.messageId ?? '');
  return { snapshots, messages, changes, made: groupBy(own, ({ event }) => event.commandId) };
}

/** Groups values by key, in their order. */
export function groupBy<K, V>(values: readonly V[], keyOf: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}
