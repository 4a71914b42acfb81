import {
  type EventData,
  type EventType,
  type Recorded,
  type SealedText,
  sealedTextOf,
} from '../../domain/events.js';
import type { UserId } from '../../domain/ids.js';
import { open } from '../../vault/cipher.js';
import type { DataKey, KeyStore } from '../../vault/vault.js';

/** An event as auditors see it: what was sealed is open, or null where its key was destroyed. */
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
