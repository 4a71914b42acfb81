import { decodeLeaf } from '../../domain/codec.js';
import {
  declarationOf,
  type EventData,
  type EventType,
  type Recorded,
  type SealedText,
  sealedTextOf,
} from '../../domain/events.js';
import type { UserId } from '../../domain/ids.js';
import { messageContext } from '../../domain/messages.js';
import { open } from '../../vault/dataKeys.js';
import type { DataKey, KeyStore } from '../../vault/vault.js';

/** An event as auditors see it: its sealed text is opened, or null if the key was destroyed. */
export interface OpenEvent extends Omit<Recorded, 'data' | 'audience' | 'type'> {
  readonly type: EventType;
  readonly data: object;
  readonly erased?: true;
}

/**
 * Opens events with the keys of those who sealed, which are fetched at once. Rejects with `VaultUnavailable` where it
 * is not known whether there is a key, with `CipherError` for sealed text that was altered.
 */
export async function openEvents(
  keys: Pick<KeyStore, 'getKeys'>,
  events: readonly Recorded[],
): Promise<OpenEvent[]> {
  const fields = events.map(sealedTextOf);
  const owners = new Set<UserId>();
  for (const field of fields) if (field) owners.add(field.owner);
  const keyOf = await keys.getKeys([...owners]);
  return events.map((event, i) => openEvent(event, fields[i], keyOf));
}

function openEvent(
  { partition, offset, stream, version, type, data, actor, recordedAt, commandId }: Recorded,
  field: SealedText | undefined,
  keyOf: ReadonlyMap<UserId, DataKey | 'destroyed'>,
): OpenEvent {
  const place = { partition, offset, stream, version, type };
  const rest = { actor, recordedAt, commandId };
  if (!field) return { ...place, data, ...rest };
  const text = openField(field, keyOf.get(field.owner));
  const opened: EventData[EventType] | object = { ...data, [field.field]: text };
  return { ...place, data: opened, ...(text === null ? { erased: true } : {}), ...rest };
}

function openField(
  { owner, sealed, context }: SealedText,
  key: DataKey | 'destroyed' | undefined,
): string | null {
  if (key === undefined) throw new TypeError(`no key of ${owner} was asked for`);
  return key === 'destroyed' ? null : open(key, sealed, context);
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
export function transcriptLine(event: OpenEvent, audience: readonly string[], who: NameOf): string {
  // Sealed text is a string or null here. A line quotes either.
  const shown = { ...event, audience } as Recorded;
  return `${event.recordedAt}  ${declarationOf(event.type).line(shown, { who, quoted })}`;
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
 * The leaf of a message as `encodeEvent` writes it. The groups: the part before the sealed text, with the ids of room
 * and message; the text; the rest of the data; and the part after the audience, with the actor. No text is escaped.
 */
const messageLeaf =
  /^\{("stream":"room:[^"\\]+","version":\d+,"type":"MessageSent","data":\{"roomId":"([^"\\]+)","messageId":"([^"\\]+)","seq":\d+,"text":)"([^"\\]+)"((?:,"replyTo":"[^"\\]+")?\}),"audience":\[[^\]\\]*\](,"actor":"([^"\\]+)",.+)$/;

/**
 * Renders each event as JSON with the content that `openEvents` opens. Nearly all events are messages: there only the
 * sealed text is replaced and the rest of the leaf is copied, which halves the time.
 */
export async function renderJson(
  keys: Pick<KeyStore, 'getKeys'>,
  leaves: readonly PlacedLeaf[],
): Promise<string[]> {
  const messages = leaves.map(({ leaf }) => messageLeaf.exec(leaf));
  const owners = new Set<string>();
  for (const message of messages) if (message?.[7] !== undefined) owners.add(message[7]);
  const keyOf = await keys.getKeys([...owners]);
  const others = leaves.filter((_, i) => messages[i] === null);
  const opened = await openEvents(
    keys,
    others.map(({ leaf, partition, offset }) => decodeLeaf(leaf, partition, offset)),
  );
  const rest = opened.values();
  return leaves.map(({ partition, offset }, i) => {
    const message = messages[i];
    if (!message) return JSON.stringify(rest.next().value);
    // All groups take part in every match, so there is none that is not given.
    const [, start, roomId = '', messageId = '', sealed = '', end, after, actor = ''] = message;
    const key = keyOf.get(actor);
    if (key === undefined) throw new TypeError(`no key of ${actor} was asked for`);
    const isErased = key === 'destroyed';
    const text = isErased ? 'null' : JSON.stringify(open(key, sealed, messageContext(roomId, messageId)));
    return `{"partition":${partition},"offset":${offset},${start}${text}${end}${isErased ? ',"erased":true' : ''}${after}`;
  });
}
