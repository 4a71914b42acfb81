import { conflict, unauthenticated } from '../base/errors.js';
import type { Answers, Command, CommandDescription, CommandKind } from '../domain/commands.js';
import type {
  Decision,
  DecisionLimits,
  EarlierMessage,
  Facts,
  MessageBody,
  Wants,
} from '../domain/defineCommand.js';
import type { SealedField, SealedMessage } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { Sealed, Time } from '../domain/fields.js';
import {
  groupKeyOwner,
  type MessageRef,
  type RoomId,
  type UserId,
  type WriterInRoom,
} from '../domain/ids.js';
import {
  dataPart,
  firstBody,
  messageTerm,
  openedMessage,
  type SealedPart,
  textContext,
} from '../domain/messages/sealedMessages.js';
import type { AskedMessage, StoredEdit, StoredMessage } from '../projections/models/messageRows.js';
import { open, seal } from '../vault/dataKeys.js';
import { openText, RoomKeys, roomKeysId, sealText } from '../vault/textKeys.js';
import type { DataKey } from '../vault/vault.js';
import type { MessageIds, NamedMessage } from './messageIds.js';
import type { StreamCache, StreamState, Tail } from './streamState.js';
import {
  type DecisionLookups,
  fetchRelations,
  invitationKey,
  PreferencesMissing,
  type Relations,
} from './writerPorts.js';

/** A command on its way through a writer. Its caller gets the outcome once. */
export interface Task extends CommandDescription {
  readonly command: Command;
  readonly commandId: string;
  /** By the clock of the leases. */
  readonly submittedAt: number;
  /** Takes what the command's kind is answered with. */
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

/** The limit of commands looked up together, chosen so that two message ids each fit one query. */
export const MAX_ROUND_COMMANDS = 128;

/** A command with everything needed to decide it. */
export interface Prepared {
  readonly task: Task;
  readonly stream: StreamState;
  readonly wants: Wants;
  /** The messages that it wants. */
  readonly named: readonly NamedMessage[];
  /** The keys that it wants, in the order of `wants.textKeys`. */
  readonly roomKeys: readonly (RoomKeys | 'destroyed' | undefined)[];
  /** The tail must keep everything above until the command is decided. */
  readonly floor: number;
  readonly found: Found;
}

/** The results of the look-ups of one round. Messages are as of the query: later ones are in the tail. */
export interface Found extends Relations {
  readonly ownKeys: ReadonlyMap<UserId, DataKey | 'destroyed'>;
  /** By `messageTerm`. */
  readonly messages: ReadonlyMap<string, StoredMessage>;
  readonly users: ReadonlySet<UserId>;
  /** Of the users who are to go offline: those still active on a node. */
  readonly active: ReadonlySet<UserId>;
  readonly limits: DecisionLimits;
}

/** The parts of a writer's memory that `prepare` uses. */
interface Memory {
  readonly streams: StreamCache;
  readonly tail: Tail;
  readonly ids: MessageIds;
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
const nobody: ReadonlySet<UserId> = new Set();
const NONE: readonly never[] = [];
const NO_WANTS: Wants = {};

/**
 * Finds the facts and keys for a round of commands: at once if all are in memory, otherwise with one query for each
 * kind. Changes only caches, and keeps the order. Throws or rejects if a fact cannot be fetched; then no stream is in
 * use.
 */
export function prepare(
  tasks: readonly Task[],
  { streams, tail, ids }: Memory,
  lookups: DecisionLookups,
): Prepared[] | Promise<Prepared[]> {
  const { keys, limits } = lookups;
  const prepared: Prepared[] = [];
  const ownKeys = new Map<UserId, DataKey | 'destroyed'>();
  const found: Found = { ...nothingFound(lookups.limits), ownKeys };
  // An id that is used from now on is in the tail.
  const { floor } = tail;
  let isInMemory = true;
  const release = (error: unknown): never => {
    for (const { stream } of prepared) streams.abandon(stream);
    throw error;
  };
  try {
    for (const task of tasks) {
      const stream = streams.acquire(task.stream);
      const wants = wantsOf(task, stream, limits);
      const named: NamedMessage[] = [];
      for (const message of wants.messages ?? NONE) named.push(ids.name(message));
      const roomKeys: (RoomKeys | 'destroyed')[] = [];
      prepared.push({ task, stream, wants, named, roomKeys, floor, found });
      if (!stream.isLoaded || wants.users || wants.groupsOf || (wants.devices && lookups.devices))
        isInMemory = false;
      if (wants.preferences || wants.invited || wants.blocksOf) isInMemory = false;
      if (!isInMemory) continue;
      for (const owner of ownersOf(wants)) {
        const key = keys.getCached(owner);
        if (key === undefined) isInMemory = false;
        else ownKeys.set(owner, key);
      }
      for (const room of wants.textKeys ?? NONE) {
        const key = keys.getCachedRoomKeys(room);
        if (key === undefined) isInMemory = false;
        else roomKeys.push(key);
      }
    }
    // Nearly all ids are new, and need no read.
    const asked = ids.select(prepared);
    if (isInMemory && asked.length === 0) return prepared;
    return fetchFound(prepared, asked, tail, lookups).catch(release);
  } catch (error) {
    return release(error);
  }
}

const nothingFound = (limits: DecisionLimits): Found => ({
  ...{ ownKeys: nothing, messages: nothing, users: nobody, active: nobody },
  ...{ preferences: nothing, invitations: nothing, groups: nothing, blocks: nothing, limits },
});

const wantsOf = (
  { declaration, command }: Task,
  stream: StreamState,
  { contactRule }: DecisionLimits,
): Wants => declaration.wants?.(command, stream.isLoaded ? stream.state : undefined, contactRule) ?? NO_WANTS;

/** The owners of the keys that are not keys of messages. */
function ownersOf({ ownKeys = NONE, groupKeys }: Wants): readonly string[] {
  return groupKeys === undefined ? ownKeys : [...ownKeys, ...groupKeys.map(groupKeyOwner)];
}

/** Fetches the facts and keys of a round from the stores. */
async function fetchFound(
  prepared: readonly Prepared[],
  asked: readonly AskedMessage[],
  tail: Tail,
  lookups: DecisionLookups,
): Promise<Prepared[]> {
  const { reads, keys, devices, limits } = lookups;
  const missing = new Set<StreamState>();
  const owners = new Set<UserId>();
  const rooms = new Map<string, WriterInRoom>();
  const wanted = new Set<UserId>();
  const leaving = new Set<UserId>();
  for (const { stream, wants } of prepared) {
    if (!stream.isLoaded) missing.add(stream);
    for (const user of wants.users ?? NONE) wanted.add(user);
    for (const user of wants.devices ?? NONE) leaving.add(user);
    for (const owner of ownersOf(wants)) owners.add(owner);
    for (const room of wants.textKeys ?? NONE) rooms.set(roomKeysId(room), room);
  }
  const [rows, ownKeys, roomKeys, messages, users, active] = await Promise.all([
    missing.size > 0 ? reads.states([...missing].map(({ name }) => name)) : nothing,
    owners.size > 0 ? keys.getKeys([...owners]) : nothing,
    rooms.size > 0 ? keys.getRoomKeys([...rooms.values()]) : nothing,
    asked.length > 0 ? reads.messages(asked) : nothing,
    wanted.size > 0 ? reads.existing([...wanted]) : nobody,
    leaving.size > 0 && devices ? devices.findActive([...leaving]) : nobody,
  ]);
  // An earlier round may have loaded it meanwhile.
  for (const stream of missing) if (!stream.isLoaded) stream.load(rows.get(stream.name), tail);
  // A state that has just been loaded may tell of further wants.
  const now = prepared.map((each) =>
    missing.has(each.stream) ? { ...each, wants: wantsOf(each.task, each.stream, limits) } : each,
  );
  const relations = await fetchRelations(
    now.map(({ wants }) => wants),
    lookups,
  );
  const found = { ownKeys, messages, users, active, limits, ...relations };
  return now.map((each) => {
    const wanted = each.wants.textKeys ?? NONE;
    return { ...each, found, roomKeys: wanted.map((room) => roomKeys.get(roomKeysId(room))) };
  });
}

/** A sealed text of an event, and what it holds. */
export interface SealedText {
  readonly sealed: Sealed;
  readonly text: string;
}

/** The key of the owner's texts in the room, if the command wanted it. */
function roomKeysOf({ wants, roomKeys }: Prepared, owner: UserId, roomId: RoomId) {
  for (const [i, room] of (wants.textKeys ?? NONE).entries())
    if (room.owner === owner && room.roomId === roomId) return roomKeys[i];
  return undefined;
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
