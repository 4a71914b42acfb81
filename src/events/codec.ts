import type { EventType, Recorded } from './types.js';
import { type Stored, type Upcaster, upcastEvent } from './upcast.js';

/** An event before it has its place in the log. */
export type Unplaced = { [T in EventType]: Omit<Recorded<T>, 'partition' | 'offset'> }[EventType];

/**
 * A leaf's text. Fields come in this order, for ever; the place is not in it: it follows from where it lies. `stored`
 * is what the event is written as, if not as it is.
 */
export function encodeEvent(event: Unplaced, stored: Stored = event): string {
  const { stream, version, audience, actor, recordedAt, commandId } = event;
  const { type, data } = stored;
  return JSON.stringify({ stream, version, type, data, audience, actor, recordedAt, commandId });
}

/** The event of a leaf that lies at `offset`, old types read as present ones. Throws `UnknownEventType`. */
export function decodeLeaf(
  leaf: string,
  partition: number,
  offset: number,
  upcast: Upcaster = upcastEvent,
): Recorded {
  const {
    stream,
    version,
    type: stored,
    data: old,
    audience,
    actor,
    recordedAt,
    commandId,
  } = JSON.parse(leaf);
  const { type, data } = upcast(stored, old);
  const event = { partition, offset, stream, version, type, data, audience, actor, recordedAt, commandId };
  // Leaves are written by `encodeEvent` only, and read back as the same bytes: hashes prove it.
  return event as Recorded;
}
