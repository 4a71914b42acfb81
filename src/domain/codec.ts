import { declarationOf, type EventType, eventTypes, isEventType, type Recorded } from './events.js';

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

/** How one old type of event is read as a newer one; that may be old too, and read on. */
export interface Upcast {
  readonly from: string;
  readonly to: string;
  /** Pure. Its argument is what was stored under `from`, its result what `to` would hold. */
  data(old: unknown): unknown;
  /**
   * Pure. What `from` can say of what `to` would hold: written in its place while some node does not know `to`.
   * Without it, what makes such an event is refused until then.
   */
  back?(data: unknown): unknown;
}

/** An event's type and data as they are stored; the type may be an old one. */
export interface Stored {
  readonly type: string;
  readonly data: unknown;
}

/** An event of a type this program has not heard of: a newer one wrote it. It must stop, never skip. */
export class UnknownEventType extends Error {
  override readonly name = 'UnknownEventType';
  constructor(readonly type: string) {
    super(`the log holds an event of type ${JSON.stringify(type)}, which this version does not know`);
  }
}

/** Reads the data of any known type, old or present, as that of a present one. Throws `UnknownEventType`. */
export type Upcaster = (type: string, data: unknown) => { type: EventType; data: unknown };

/** The newest form of an event that all can read; undefined: there is none. */
export type Downcaster = (
  type: EventType,
  data: unknown,
  isKnownToAll: (type: string) => boolean,
) => Stored | undefined;

/** The upcaster of these rules; each is followed until a present type is reached. */
export function upcaster(rules: readonly Upcast[]): Upcaster {
  const byType = new Map(rules.map((rule) => [rule.from, rule]));
  return function upcast(type, data) {
    if (isEventType(type)) return { type, data };
    const rule = byType.get(type);
    if (!rule) throw new UnknownEventType(type);
    return upcast(rule.to, rule.data(data));
  };
}

/** The downcaster of these rules: each goes one step back, until a type is reached that all know. */
export function downcaster(rules: readonly Upcast[]): Downcaster {
  return (type, data, isKnownToAll) => {
    let stored: Stored = { type, data };
    while (!isKnownToAll(stored.type)) {
      const rule = rules.find(({ to, back }) => to === stored.type && back);
      if (!rule?.back) return undefined;
      stored = { type: rule.from, data: rule.back(stored.data) };
    }
    return stored;
  };
}

/** The rules that the declared events have for the older types that they replace. */
const rules: readonly Upcast[] = eventTypes.flatMap((to) => {
  const { replaces } = declarationOf(to);
  if (!replaces) return [];
  const { type: from, upcast: data, downcast: back } = replaces;
  return [{ from, to, data, ...(back ? { back } : {}) }];
});

export const upcastEvent: Upcaster = upcaster(rules);
export const downcastEvent: Downcaster = downcaster(rules);

/** All types that this program can read, old ones too. */
export const knownTypes: readonly string[] = [...eventTypes, ...rules.map(({ from }) => from)];
