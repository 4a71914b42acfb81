import type { Command, CommandDescription } from '../domain/commands.js';
import type { DecisionLimits, Wants } from '../domain/defineCommand.js';
import { groupKeyOwner, isGroupKeyOwner, type UserId, type WriterInRoom } from '../domain/ids.js';
import type { AskedMessage, StoredMessage } from '../projections/models/messageRows.js';
import { KeyMissing } from '../vault/dataKeys.js';
import { type RoomKeys, roomKeysId } from '../vault/textKeys.js';
import type { DataKey } from '../vault/vault.js';
import type { MessageIds, NamedMessage } from './messageIds.js';
import type { StreamCache, StreamState, Tail } from './streamState.js';
import { type DecisionLookups, fetchRelations, type Relations } from './writerPorts.js';

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
export interface Memory {
  readonly streams: StreamCache;
  readonly tail: Tail;
  readonly ids: MessageIds;
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
const nobody: ReadonlySet<UserId> = new Set();
export const NONE: readonly never[] = [];
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
  // Written out: to spread objects takes several times as long, here and below.
  const found: Found = {
    ownKeys,
    messages: nothing,
    users: nobody,
    active: nobody,
    preferences: nothing,
    invitations: nothing,
    groups: nothing,
    blocks: nothing,
    limits,
  };
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

const wantsOf = (
  { declaration, command }: Task,
  stream: StreamState,
  { contactRule }: DecisionLimits,
): Wants => declaration.wants?.(command, stream.isLoaded ? stream.state : undefined, contactRule) ?? NO_WANTS;

/** The owners of the keys that are not keys of messages. */
function ownersOf({ ownKeys = NONE, groupKeys }: Wants): readonly string[] {
  return groupKeys === undefined ? ownKeys : [...ownKeys, ...groupKeys.map(groupKeyOwner)];
}

/**
 * Fetches the keys of these owners. A room that is no group has no key of a group, and is left out: its state tells the
 * decider so.
 */
async function fetchOwnKeys(
  keys: DecisionLookups['keys'],
  owners: readonly string[],
): Promise<ReadonlyMap<string, DataKey | 'destroyed'>> {
  const ofGroup = async (owner: string) =>
    keys.getKeys([owner]).catch((error: unknown) => {
      if (error instanceof KeyMissing) return nothing;
      throw error;
    });
  const people = owners.filter((owner) => !isGroupKeyOwner(owner));
  const found = await Promise.all([
    people.length > 0 ? keys.getKeys(people) : nothing,
    ...owners.filter(isGroupKeyOwner).map(ofGroup),
  ]);
  return found.length === 1 && found[0] ? found[0] : new Map(found.flatMap((some) => [...some]));
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
    owners.size > 0 ? fetchOwnKeys(keys, [...owners]) : nothing,
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
