import { decodeLeaf } from '../../domain/codec.js';
import {
  declarationOf,
  type EventData,
  type EventType,
  type Recorded,
  type SealedText,
  sealedTextsOf,
} from '../../domain/events.js';
import type { UserId, WriterInRoom } from '../../domain/ids.js';
import { textContext } from '../../domain/messages/sealedMessages.js';
import { open } from '../../vault/dataKeys.js';
import { openText, type RoomKeys, roomKeysId } from '../../vault/textKeys.js';
import type { DataKey, KeyStore } from '../../vault/vault.js';

/** An event as auditors see it: its sealed texts are opened, or null if the key was destroyed. */
export interface OpenEvent extends Omit<Recorded, 'data' | 'type'> {
  readonly type: EventType;
  readonly data: object;
  readonly erased?: true;
}

/** The keys that open the events of an audit. */
export type AuditKeys = Pick<KeyStore, 'getKeys' | 'getRoomKeys'>;

/** Opens sealed fields: null if the key was destroyed. */
type OpenField = (field: SealedText) => string | null;

/**
 * Opens events with the keys of those who sealed, which are fetched at once. Rejects with `VaultUnavailable` where it
 * is not known whether there is a key, with `CipherError` for sealed text that was altered.
 */
export async function openEvents(keys: AuditKeys, events: readonly Recorded[]): Promise<OpenEvent[]> {
  const fields = events.map(sealedTextsOf);
  const openField = await fetchKeys(keys, fields.flat());
  return events.map((event, i) => openEvent(event, fields[i] ?? [], openField));
}

function openEvent(
  { partition, offset, stream, version, type, data, actor, recordedAt, commandId, via }: Recorded,
  fields: readonly SealedText[],
  openField: OpenField,
): OpenEvent {
  const place = { partition, offset, stream, version, type };
  const rest = { actor, recordedAt, commandId, ...(via === undefined ? {} : { via }) };
  const texts = fields.map((field) => [field.field, openField(field)] as const);
  const opened: EventData[EventType] | object = { ...data, ...Object.fromEntries(texts) };
  const isErased = texts.some(([, text]) => text === null);
  return { ...place, data: opened, ...(isErased ? { erased: true } : {}), ...rest };
}

/** Fetches the keys of all these fields. The function that it returns opens only them. */
async function fetchKeys(keys: AuditKeys, fields: readonly SealedText[]): Promise<OpenField> {
  const owners = new Set<UserId>();
  const rooms = new Map<string, WriterInRoom>();
  for (const { owner, place } of fields)
    if (place) rooms.set(roomKeysId({ owner, ...place }), { owner, roomId: place.roomId });
    else owners.add(owner);
  const [ownKeys, roomKeys] = await Promise.all([
    owners.size > 0 ? keys.getKeys([...owners]) : new Map<UserId, DataKey | 'destroyed'>(),
    rooms.size > 0 ? keys.getRoomKeys([...rooms.values()]) : new Map<string, RoomKeys | 'destroyed'>(),
  ]);
  const missing = (owner: UserId) => new TypeError(`no key of ${owner} was asked for`);
  return ({ owner, text, context, place }) => {
    if (place) {
      const found = roomKeys.get(roomKeysId({ owner, ...place }));
      if (found === undefined) throw missing(owner);
      return found === 'destroyed' ? null : openText(found, place, text, context);
    }
    const key = ownKeys.get(owner);
    if (key === undefined) throw missing(owner);
    return key === 'destroyed' ? null : open(key, text, context);
  };
}

type NameOf = (userId: string) => string;

/** The ids of the users whom the event's transcript line names. */
export function userIdsIn(event: Recorded): string[] {
  const users = new Set<string>();
  const who: NameOf = (id) => {
    users.add(id);
    return id;
  };
  declarationOf(event.type).line(event, { who, quoted });
  return [...users];
}

/** An event as a line of the transcript: time, actor, act. Texts of users are quoted and cannot break the line. */
export function transcriptLine(event: OpenEvent, who: NameOf): string {
  // Sealed text is a string or null here. A line quotes either.
  const line = declarationOf(event.type).line(event as Recorded, { who, quoted });
  return `${event.recordedAt}  ${line}${event.via === undefined ? '' : ` (through key ${event.via})`}`;
}

/** Controls and marks that turn the direction of a line, which a terminal would follow. */
const unseen = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

function quoted(value: unknown): string {
  if (value === null || value === undefined) return '(erased)';
  return JSON.stringify(value).replaceAll(
    unseen,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A leaf and its place in the log. */
export interface PlacedLeaf {
  readonly partition: number;
  readonly offset: number;
  readonly leaf: string;
}

/**
 * The leaf of a message as `encodeEvent` writes it. The groups: room, version, the data before the sealed text with
 * message id and `seq`, the text, the rest of the data, actor, time and command. No text is escaped.
 */
const messageLeaf =
  /^\["room:([^"\\]+)",(\d+),"MessageSent",\{("messageId":"([^"\\]+)","seq":(\d+),"text":)"([^"\\]+)"((?:,"replyTo":"[^"\\]+")?)\},"([^"\\]+)","([^"\\]+)","([^"\\]+)"\]$/;

/** A message's leaf in parts. */
interface MessageLeaf {
  readonly field: SealedText;
  /** The rendered event before its text and behind it. */
  readonly before: string;
  readonly behind: readonly [data: string, rest: string];
}

function parseMessage({ leaf, partition, offset }: PlacedLeaf): MessageLeaf | undefined {
  const found = messageLeaf.exec(leaf);
  if (!found) return undefined;
  // All groups take part in every match, so there is none that is not given.
  const [, roomId = '', version, start, messageId = '', seq, text = '', end = '', actor = '', time, id] =
    found;
  return {
    field: {
      owner: actor,
      field: 'text',
      text,
      context: textContext({ roomId, messageId }),
      place: { roomId, seq: Number(seq), rev: 0 },
    },
    before: `{"partition":${partition},"offset":${offset},"stream":"room:${roomId}","version":${version},"type":"MessageSent","data":{"roomId":"${roomId}",${start}`,
    behind: [`${end}}`, `,"actor":"${actor}","recordedAt":"${time}","commandId":"${id}"}`],
  };
}

/**
 * Renders each event as JSON with the content that `openEvents` opens. Nearly all events are messages: there the text
 * is opened and the rest of the leaf is copied, which halves the time.
 */
export async function renderJson(keys: AuditKeys, leaves: readonly PlacedLeaf[]): Promise<string[]> {
  const messages = leaves.map(parseMessage);
  const openField = await fetchKeys(
    keys,
    messages.flatMap((message) => message?.field ?? []),
  );
  const others = leaves.filter((_, i) => messages[i] === undefined);
  const opened = await openEvents(
    keys,
    others.map(({ leaf, partition, offset }) => decodeLeaf(leaf, partition, offset)),
  );
  const rest = opened.values();
  return messages.map((message) => {
    if (!message) return JSON.stringify(rest.next().value);
    const text = openField(message.field);
    const erased = text === null ? ',"erased":true' : '';
    const [data, after] = message.behind;
    return `${message.before}${JSON.stringify(text)}${data}${erased}${after}`;
  });
}

/** Renders an event as JSON with its text as it is stored: base64 of the sealed bytes. */
export function renderSealed(placed: PlacedLeaf): string {
  const message = parseMessage(placed);
  if (!message) return JSON.stringify(decodeLeaf(placed.leaf, placed.partition, placed.offset));
  const [data, after] = message.behind;
  return `${message.before}"${message.field.text}"${data}${after}`;
}
