import { declarationOf, type EventType, eventTypes, isEventType, kindOf, type Recorded } from './events.js';
import { type KeyId, parseStream, type StreamName } from './ids.js';

/** An event before it has its place in the log. */
export type UnplacedEvent = { [T in EventType]: Omit<Recorded<T>, 'partition' | 'offset'> }[EventType];

/**
 * A leaf's text: a JSON array of stream, version, type, data, actor, time, command id, and the server key if the event
 * was caused through one. `data` leaves out the field that repeats the stream's id. Partition and offset are not written: the log knows them. `stored` is an older form to
 * write instead.
 */
export function encodeEvent(event: UnplacedEvent, stored: Stored = event): string {
  const { stream, version, actor, recordedAt, commandId, via } = event;
  let { data } = stored;
  const field = idFieldOf(stored.type, stream);
  if (field !== undefined) {
    const { [field]: _, ...rest } = data as Readonly<Record<string, unknown>>; // An event's data is a JSON object.
    data = rest;
  }
  const fields = [stream, version, stored.type, data, actor, recordedAt, commandId];
  return JSON.stringify(via === undefined ? fields : [...fields, via]);
}

/** By present type, the field of its data that repeats the stream's id; null if it may lack it. */
const idFields = new Map<string, string | null>(
  eventTypes.map((type) => {
    const { hasIdField, stream } = declarationOf(type);
    return [type, hasIdField ? stream.idField : null];
  }),
);

/** The field that data of a stored type leaves out. Data of an older type always repeats the stream's id. */
function idFieldOf(stored: string, stream: StreamName): string | undefined {
  const field = idFields.get(stored);
  return field === undefined ? kindOf(stream).idField : (field ?? undefined);
}

/** Fields of an event; an absent one matches all. */
export interface LeafFields {
  readonly stream?: StreamName;
  readonly type?: string;
  readonly actor?: string;
}

/** A test of a leaf's text that needs no parsing: the place of each field shows in the text around it. */
export function leafTest({ stream, type, actor }: LeafFields): (leaf: string) => boolean {
  const start = stream === undefined ? '[' : `[${JSON.stringify(stream)},`;
  const parts: string[] = [];
  // The type stands before an object, and the actor between an object and another text.
  if (type !== undefined) parts.push(`,${JSON.stringify(type)},{`);
  if (actor !== undefined) parts.push(`},${JSON.stringify(actor)},"`);
  return (leaf) => leaf.startsWith(start) && parts.every((part) => leaf.includes(part));
}

/** The event of a leaf that lies at `offset`, old types read as present ones. Throws `UnknownEventType`. */
export function decodeLeaf(
  leaf: string,
  partition: number,
  offset: number,
  upcast: Upcaster = upcastEvent,
): Recorded {
  const { stream, version, type, data, actor, recordedAt, commandId, via } = parseLeaf(leaf, upcast);
  const event = { partition, offset, stream, version, type, data, actor, recordedAt, commandId };
  // Only its place was added.
  return (via === undefined ? event : { ...event, via }) as Recorded;
}

/** The first strings of texts that come again and again; the key is the text. */
const firstTexts = new Map<string, string>();
const MAX_FIRST_TEXTS = 4096;

/** Returns one shared string object for equal texts. V8 has computed its hash already, so that maps find it faster. */
function firstOf<T extends string>(text: T): T {
  // The value has the text of its key.
  const first = firstTexts.get(text) as T | undefined;
  if (first !== undefined) return first;
  if (firstTexts.size === MAX_FIRST_TEXTS) firstTexts.clear();
  firstTexts.set(text, text);
  return text;
}

/** The time of the event before. The events of one commit have one time, so that the map need not hold times. */
let timeBefore = '';

/** The fields of a leaf's event. Whoever folds the log comes here for each event. */
export function parseLeaf(leaf: string, upcast: Upcaster = upcastEvent): UnplacedEvent {
  const fields = JSON.parse(leaf);
  const [stream, stored, old] = [firstOf<StreamName>(fields[0]), fields[2], fields[3]];
  const field = idFieldOf(stored, stream);
  // To spread the old data takes as long as to parse it.
  const data = field === undefined ? old : Object.assign({ [field]: firstOf(parseStream(stream).id) }, old);
  const present = isEventType(stored) ? { type: stored, data } : upcast(stored, data);
  const { type } = present;
  const [version, actor, commandId] = [fields[1], firstOf(fields[4]), fields[6]];
  if (fields[5] !== timeBefore) timeBefore = fields[5];
  const event = { stream, version, type, data: present.data, actor, recordedAt: timeBefore, commandId };
  const via: KeyId | undefined = fields[7];
  // Leaves are written by `encodeEvent` only, and read back as the same bytes: hashes prove it.
  return (via === undefined ? event : { ...event, via: firstOf(via) }) as UnplacedEvent;
}

/** How one old type of event is read as a newer one. If that is old too, its own rule follows. */
export interface ConversionRule {
  readonly from: string;
  readonly to: string;
  /** Converts stored data of `from` to data of `to`. Pure. */
  upcast(old: unknown): unknown;
  /**
   * Converts data of `to` to `from`. Pure. It is used while a live node cannot read `to`. Without it, the command is
   * refused until all nodes can.
   */
  downcast?(data: unknown): unknown;
}

/** An event's type and data as they are stored; the type may be an old one. */
export interface Stored {
  readonly type: string;
  readonly data: unknown;
}

/** Thrown for an event type that a newer program wrote. The reader must stop and never skip the event. */
export class UnknownEventType extends Error {
  override readonly name = 'UnknownEventType';
  constructor(readonly type: string) {
    super(`the log holds an event of type ${JSON.stringify(type)}, which this version does not know`);
  }
}

/** Converts data of any known type, old or present, to its present type. Throws `UnknownEventType`. */
export type Upcaster = (type: string, data: unknown) => { type: EventType; data: unknown };

/** Returns the newest form of an event that all nodes can read, or undefined if none is. */
export type Downcaster = (
  type: EventType,
  data: unknown,
  isKnownToAll: (type: string) => boolean,
) => Stored | undefined;

/** The upcaster of these rules; each is followed until a present type is reached. */
export function upcaster(rules: readonly ConversionRule[]): Upcaster {
  const byType = new Map(rules.map((rule) => [rule.from, rule]));
  return function upcast(type, data) {
    if (isEventType(type)) return { type, data };
    const rule = byType.get(type);
    if (!rule) throw new UnknownEventType(type);
    return upcast(rule.to, rule.upcast(data));
  };
}

/** The downcaster of these rules; each is followed back until a type is reached that all nodes know. */
export function downcaster(rules: readonly ConversionRule[]): Downcaster {
  return (type, data, isKnownToAll) => {
    let stored: Stored = { type, data };
    while (!isKnownToAll(stored.type)) {
      const rule = rules.find(({ to, downcast }) => to === stored.type && downcast);
      if (!rule?.downcast) return undefined;
      stored = { type: rule.from, data: rule.downcast(stored.data) };
    }
    return stored;
  };
}

/** The rules of the older types that declared events replace. */
const rules: readonly ConversionRule[] = eventTypes.flatMap((to) => {
  const { replaces } = declarationOf(to);
  if (!replaces) return [];
  const { type: from, ...casts } = replaces;
  return [{ from, to, ...casts }];
});

export const upcastEvent: Upcaster = upcaster(rules);
export const downcastEvent: Downcaster = downcaster(rules);

/** The older types that are read as this one. */
function olderTypes(to: string): string[] {
  return rules.filter((rule) => rule.to === to).flatMap(({ from }) => [from, ...olderTypes(from)]);
}

/** A test of a leaf's text, without parsing: whether it is an event of this type, or of an older one read as it. */
export function eventTest(type: EventType): (leaf: string) => boolean {
  const test = leafTest({ type });
  const olderTests = olderTypes(type).map((stored) => leafTest({ type: stored }));
  if (olderTests.length === 0) return test;
  return (leaf) => test(leaf) || olderTests.some((olderTest) => olderTest(leaf));
}

/** By stored type, the present type that it is read as. */
const presentTypes = new Map<string, EventType>(
  eventTypes.flatMap((type) => [type, ...olderTypes(type)].map((stored) => [stored, type] as const)),
);

/** The stream's name and the version stand before the type. */
const STORED_TYPE = /^\["[^"\\]+",\d+,"([^"\\]+)",/;

/** The type of a leaf's event, without parsing the rest; undefined of a type that this program does not know. */
export function typeOfLeaf(leaf: string): EventType | undefined {
  const [, stored = ''] = STORED_TYPE.exec(leaf) ?? [];
  return presentTypes.get(stored);
}

/** All types that this program can read, old ones too. */
export const knownTypes: readonly string[] = [...eventTypes, ...rules.map(({ from }) => from)];
