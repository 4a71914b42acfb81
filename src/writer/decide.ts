import { conflict, unauthenticated } from '../base/errors.js';
import type { Answers, CommandKind } from '../domain/commands.js';
import type { Decision, EarlierMessage, Facts, MessageBody } from '../domain/defineCommand.js';
import type { SealedField, SealedMessage } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { Sealed, Time } from '../domain/fields.js';
import type { MessageRef, RoomId, UserId } from '../domain/ids.js';
import {
  dataPart,
  firstBody,
  messageTerm,
  openedMessage,
  type SealedPart,
  textContext,
} from '../domain/messages/sealedMessages.js';
import type { StoredEdit, StoredMessage } from '../projections/models/messageRows.js';
import { open, seal } from '../vault/dataKeys.js';
import { openText, RoomKeys, sealText } from '../vault/textKeys.js';
import type { DataKey } from '../vault/vault.js';
import { type Memory, NONE, type Prepared } from './prepare.js';
import type { Tail } from './streamState.js';
import { invitationKey, PreferencesMissing } from './writerPorts.js';

/** A sealed text of an event, and what it holds. */
export interface SealedText {
  readonly sealed: Sealed;
  readonly text: string;
}

/** The key of the owner's texts in the room, if the command wanted it. */
function roomKeysOf({ wants, roomKeys }: Prepared, owner: UserId, roomId: RoomId) {
  const at = (wants.textKeys ?? NONE).findIndex((room) => room.owner === owner && room.roomId === roomId);
  return at < 0 ? undefined : roomKeys[at];
}

/**
 * Seals a field of an event as it was decided; undefined if the event does not have it. Throws if the command did not
 * want its key, and `TextDestroyed` if the text's place was destroyed before.
 */
export function sealField(
  event: Recorded,
  { field, of }: SealedField<Recorded>,
  prepared: Prepared,
): SealedText | undefined {
  const text = (event.data as Readonly<Record<string, unknown>>)[field]; // Data is an object.
  if (typeof text !== 'string') return undefined;
  const { owner, context, place } = of(event);
  const key = place ? roomKeysOf(prepared, owner, place.roomId) : prepared.found.ownKeys.get(owner);
  if (key === 'destroyed' && owner !== event.actor)
    throw conflict('the group has ended, and the key of its name is destroyed', 'gone');
  if (key === undefined || key === 'destroyed')
    throw new Error(`the key that seals ${event.type} of ${owner} was not fetched`);
  const sealed =
    place && key instanceof RoomKeys
      ? sealText(key, place, text, context)
      : seal(key as DataKey, text, context); // Without a place it is an own key.
  return { sealed, text };
}

/** The parts of a writer's memory that hold what the read models may lack. */
type RecentEvents = Pick<Memory, 'tail' | 'ids'>;

/** A wanted message as it is now, and what was read of it. */
interface FoundMessage {
  readonly message: SealedMessage;
  readonly stored: StoredMessage | undefined;
}

/**
 * Finds a wanted message: the tail holds each message that the history lacked at the query, those of this batch, and all
 * later changes.
 */
function findMessage(
  ref: MessageRef,
  { named, found }: Prepared,
  { tail, ids }: RecentEvents,
): FoundMessage | undefined {
  const recent = ids.findInTail(ids.nameOf(ref, named));
  if (recent) return { message: tail.completeMessage(recent, -1), stored: undefined };
  const stored = found.messages.size > 0 ? found.messages.get(messageTerm(ref)) : undefined;
  return stored && { message: tail.completeMessage(stored.message, stored.offset), stored };
}

/** A message that a prepared command wanted, as it is now; undefined if there is none. */
export const messageNow = (
  ref: MessageRef,
  prepared: Prepared,
  recent: RecentEvents,
): SealedMessage | undefined => findMessage(ref, prepared, recent)?.message;

/** Decides a prepared command against its stream's state; `now` is the time of the commit to be. */
export function decide(prepared: Prepared, recent: RecentEvents, now: Time): Decision<Answers[CommandKind]> {
  const { task, stream, wants, roomKeys, found } = prepared;
  let isErased = roomKeys.includes('destroyed');
  for (const owner of wants.ownKeys ?? NONE) isErased ||= found.ownKeys.get(owner) === 'destroyed';
  if (isErased) return { refused: unauthenticated('this user has been erased') };
  const facts: Facts = {
    now,
    exists: (user) => found.users.has(user),
    isActive: (user) => found.active.has(user),
    message(ref) {
      const earlier = findMessage(ref, prepared, recent);
      return earlier && earlierMessage(earlier, prepared, recent.tail);
    },
    preferencesOf(user) {
      const preferences = found.preferences.get(user);
      if (!preferences) throw new PreferencesMissing(user);
      return preferences;
    },
    invitation: (user) => found.invitations.get(invitationKey(wants.invited?.by ?? '', user)) ?? 'not_found',
    groupsOf: (user) => found.groups.get(user) ?? 0,
    blocksOf: (user) => found.blocks.get(user) ?? 0,
    isText({ owner, sealed, context }, text) {
      const key = found.ownKeys.get(owner);
      if (key === undefined) throw new Error(`the key of ${owner} was not fetched`);
      return key === 'destroyed' ? undefined : open(key, sealed, context) === text;
    },
    limits: found.limits,
  };
  return task.declaration.decide(task.command, stream.state, facts);
}

/** A message as deciders are told of it. */
function earlierMessage({ message, stored }: FoundMessage, prepared: Prepared, tail: Tail): EarlierMessage {
  const { senderId, roomId, seq } = message;
  const open = (part: SealedPart): string | null => {
    const keys = roomKeysOf(prepared, senderId, roomId);
    if (!(keys instanceof RoomKeys))
      throw new Error(`the keys that open message ${message.messageId} were not fetched`);
    const { text, rev = 0, isData } = part;
    return text === null ? null : openText(keys, { seq, rev: isData ? 0 : rev }, text, textContext(part));
  };
  const bodyOf = (rev: number): MessageBody => {
    const { text, mentions } =
      rev === 0 ? firstBody(message) : rev === message.rev ? message : editOf(message, rev, stored, tail);
    const opened = open({ ...message, text, rev });
    return { text: opened, ...(mentions ? { mentions } : {}) };
  };
  const data = dataPart(message);
  return {
    ...message,
    bodyOf,
    openedData: () => (data ? open(data) : null),
    opened: () =>
      openedMessage(message, (text) => open(data && text === data.text ? data : { ...message, text })),
  };
}

/** An edit between the first and the newest one: the tail or the history has it. */
function editOf(
  { edits = [], messageId, ...place }: SealedMessage,
  rev: number,
  stored: StoredMessage | undefined,
  tail: Tail,
): StoredEdit {
  const editId = edits[rev - 1] ?? '';
  for (const { type, data } of tail.changesOf({ ...place, messageId }))
    if (type === 'MessageEdited' && data.editId === editId) return data;
  const known = stored?.edits?.get(editId);
  if (!known) throw new Error(`edit ${rev} of message ${messageId} was not fetched`);
  return known;
}
