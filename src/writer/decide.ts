import { unauthenticated } from '../base/errors.js';
import { takeInTurn } from '../base/rateLimits.js';
import {
  type Answer,
  type Answers,
  actorOf,
  type Command,
  type CommandKind,
  commandDeclaration,
  decideCommand,
} from '../domain/commands.js';
import type { Decision, EarlierMessage, Facts } from '../domain/defineCommand.js';
import { type Recorded, sealedTextOf } from '../domain/events.js';
import type { Sealed, Time } from '../domain/fields.js';
import type { Actor, MessageRef, StreamName, UserId, WriterInRoom } from '../domain/ids.js';
import { messageContext, messageTerm, type StoredMessage } from '../domain/messages.js';
import type { AskedMessage } from '../projections/models/messageRows.js';
import { seal } from '../vault/dataKeys.js';
import { openText, RoomKeys, roomKeysId, sealText } from '../vault/textKeys.js';
import type { DataKey } from '../vault/vault.js';
import type { MessageIds } from './messageIds.js';
import type { StreamCache, StreamState, Tail, TailPin } from './streamState.js';
import type { DecisionLookups } from './writerPorts.js';

/** A command as it was submitted. */
interface Submitted {
  readonly command: Command;
  readonly commandId: string;
  readonly stream: StreamName;
  /** By the clock of the leases. */
  readonly submittedAt: number;
}

/** A command on its way through a writer. Its caller gets the outcome once. */
export class Task {
  readonly command: Command;
  readonly commandId: string;
  readonly stream: StreamName;
  readonly submittedAt: number;

  /** `leave` is called before the outcome is told. */
  constructor(
    submitted: Submitted,
    private readonly leave: () => void,
    private readonly resolve: (answer: never) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    this.command = submitted.command;
    this.commandId = submitted.commandId;
    this.stream = submitted.stream;
    this.submittedAt = submitted.submittedAt;
  }

  /** Who asked. */
  get actor(): Actor {
    return actorOf(this.command);
  }

  answer(answer: Answer<CommandKind>): void {
    this.leave();
    // A caller takes what its command's kind is answered with, and a writer gives no other.
    this.resolve(answer as never);
  }

  refuse(error: unknown): void {
    this.leave();
    this.reject(error);
  }
}

/** The limit of commands looked up together, chosen so that two message ids each fit one query. */
const MAX_ROUND_COMMANDS = 128;

/** The next commands to prepare, and those that wait. Of more than a round, each actor's come in turn. */
export function splitRound(tasks: Task[]): { round: Task[]; rest: Task[] } {
  if (tasks.length <= MAX_ROUND_COMMANDS) return { round: tasks, rest: [] };
  const round = new Set(takeInTurn(tasks, ({ actor }) => actor, MAX_ROUND_COMMANDS));
  return { round: [...round], rest: tasks.filter((task) => !round.has(task)) };
}

/** A command with everything needed to decide it. */
export interface Prepared {
  readonly task: Task;
  readonly stream: StreamState;
  readonly pin: TailPin;
  readonly found: Found;
}

/** The results of the look-ups of one round. Messages are as of the query: later ones are in the tail. */
export interface Found {
  readonly ownKeys: ReadonlyMap<UserId, DataKey | 'destroyed'>;
  /** By `roomKeysId`. */
  readonly roomKeys: ReadonlyMap<string, RoomKeys | 'destroyed'>;
  readonly messages: ReadonlyMap<string, StoredMessage>;
  readonly users: ReadonlySet<UserId>;
  /** Of the users who are to go offline: those still active on a node. */
  readonly active: ReadonlySet<UserId>;
}

/** The parts of a writer's memory that `prepare` uses. */
interface Memory {
  readonly streams: StreamCache;
  readonly tail: Tail;
  readonly ids: MessageIds;
}

/**
 * Finds the facts and keys for a round of commands: at once if all are in memory, otherwise with one query for each
 * kind. Changes only caches, and keeps the order. Rejects if a fact cannot be fetched; then no stream and no pin is
 * held.
 */
export function prepare(
  tasks: readonly Task[],
  memory: Memory,
  lookups: DecisionLookups,
): Prepared[] | Promise<Prepared[]> {
  const { streams, tail, ids } = memory;
  const pin = tail.pin(tasks.length);
  const used = tasks.map((task) => streams.acquire(task.stream));
  const release = (error: unknown): never => {
    for (const stream of used) {
      streams.release(stream);
      tail.unpin(pin);
    }
    throw error;
  };
  // `used` has one stream a task.
  const prepared = (found: Found): Prepared[] =>
    tasks.map((task, i) => ({ task, stream: used[i] as StreamState, pin, found }));
  try {
    const wanted = wantsOf(tasks);
    // After the pin: an id that is used from now on is in the tail. Nearly all ids are new, and need no read.
    const asked = ids.select(wanted.messages);
    const missing = used.filter((stream) => !stream.isLoaded);
    const known = missing.length > 0 || asked.length > 0 ? undefined : inMemory(wanted, lookups);
    if (known) return prepared(known);
    return fetchFound({ ...wanted, asked, missing: new Set(missing) }, tail, lookups).then(prepared, release);
  } catch (error) {
    return release(error);
  }
}

/** Everything wanted, if all of it is in memory. */
function inMemory(
  { ownKeys, textKeys, users, leaving }: Wanted,
  { keys, devices }: DecisionLookups,
): Found | undefined {
  if (users.size > 0 || (leaving.size > 0 && devices)) return undefined;
  const own = new Map<UserId, DataKey | 'destroyed'>();
  for (const user of ownKeys) {
    const key = keys.getCached(user);
    if (key === undefined) return undefined;
    own.set(user, key);
  }
  const rooms = new Map<string, RoomKeys | 'destroyed'>();
  for (const [id, room] of textKeys) {
    const found = keys.getCachedRoomKeys(room);
    if (found === undefined) return undefined;
    rooms.set(id, found);
  }
  return { ownKeys: own, roomKeys: rooms, messages: nothing, users: nobody, active: nobody };
}

async function fetchFound(
  wanted: Wanted & { readonly asked: readonly AskedMessage[]; readonly missing: ReadonlySet<StreamState> },
  tail: Tail,
  { reads, keys, devices }: DecisionLookups,
): Promise<Found> {
  const [rows, ownKeys, roomKeys, messages, users, active] = await Promise.all([
    wanted.missing.size > 0 ? reads.states([...wanted.missing].map(({ name }) => name)) : nothing,
    wanted.ownKeys.size > 0 ? keys.getKeys([...wanted.ownKeys]) : nothing,
    wanted.textKeys.size > 0 ? keys.getRoomKeys([...wanted.textKeys.values()]) : nothing,
    wanted.asked.length > 0 ? reads.messages(wanted.asked) : nothing,
    wanted.users.size > 0 ? reads.existing([...wanted.users]) : nobody,
    wanted.leaving.size > 0 && devices ? devices.findActive([...wanted.leaving]) : nobody,
  ]);
  // An earlier round may have loaded it meanwhile.
  for (const stream of wanted.missing) if (!stream.isLoaded) stream.load(rows.get(stream.name), tail);
  return { ownKeys, roomKeys, messages, users, active };
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
const nobody: ReadonlySet<UserId> = new Set();

type Wanted = ReturnType<typeof wantsOf>;

function wantsOf(tasks: readonly Task[]) {
  const ownKeys = new Set<UserId>();
  const textKeys = new Map<string, WriterInRoom>();
  const users = new Set<UserId>();
  const leaving = new Set<UserId>();
  const messages: MessageRef[] = [];
  for (const { command } of tasks) {
    const { wants } = commandDeclaration(command.kind);
    if (!wants) continue;
    const wanted = wants(command);
    for (const user of wanted.users ?? []) users.add(user);
    for (const user of wanted.devices ?? []) leaving.add(user);
    for (const ref of wanted.messages ?? []) messages.push(ref);
    for (const user of wanted.ownKeys ?? []) ownKeys.add(user);
    for (const room of wanted.textKeys ?? []) textKeys.set(roomKeysId(room), room);
  }
  return { ownKeys, textKeys, users, leaving, messages };
}

/** A sealed text of an event, and what it holds. */
export interface SealedText {
  readonly sealed: Sealed;
  readonly text: string;
}

/**
 * Seals the sealed field of an event as it was decided. Throws `KeyMissing` if the command did not want its key, and
 * `TextDestroyed` if the text's place was destroyed before.
 */
export function sealEvent(
  event: Recorded,
  { ownKeys, roomKeys }: Found,
): { event: Recorded; text?: SealedText } {
  const field = sealedTextOf(event);
  if (!field) return { event };
  const { owner, text, context, place } = field;
  const key = place ? roomKeys.get(roomKeysId({ owner, roomId: place.roomId })) : ownKeys.get(owner);
  if (key === undefined || key === 'destroyed')
    throw new Error(`the key that seals ${event.type} of ${owner} was not fetched`);
  const sealed =
    place && key instanceof RoomKeys
      ? sealText(key, place, text, context)
      : seal(key as DataKey, text, context);
  const data = { ...event.data, [field.field]: sealed };
  return { event: { ...event, data } as Recorded, text: { sealed, text } }; // A sealed field is a string.
}

/** Whether a key that the command wants was destroyed with its owner. */
function isOwnerErased({ task: { command }, found }: Prepared): boolean {
  const { ownKeys = [], textKeys = [] } = commandDeclaration(command.kind).wants?.(command) ?? {};
  return (
    ownKeys.some((owner) => found.ownKeys.get(owner) === 'destroyed') ||
    textKeys.some((room) => found.roomKeys.get(roomKeysId(room)) === 'destroyed')
  );
}

/** Decides a prepared command against its stream's state; `now` is the time of the commit to be. */
export function decide(prepared: Prepared, tail: Tail, now: Time): Decision<Answers[CommandKind]> {
  const { task, stream } = prepared;
  if (isOwnerErased(prepared)) return { refused: unauthenticated('this user has been erased') };
  const { command } = task;
  const facts = new FoundFacts(prepared, tail, now);
  return decideCommand<CommandKind>(command, stream.state, facts);
}

/** The facts of one command, from the look-ups and the tail. */
class FoundFacts implements Facts {
  constructor(
    private readonly prepared: Prepared,
    private readonly tail: Tail,
    readonly now: Time,
  ) {}

  readonly exists = (user: UserId): boolean => this.prepared.found.users.has(user);

  readonly isActive = (user: UserId): boolean => this.prepared.found.active.has(user);

  readonly message = (ref: MessageRef): EarlierMessage | undefined => {
    const term = messageTerm(ref);
    // The tail holds each message that the history lacked at the query, those of this batch, and later deletions.
    const earlier = this.tail.message(term) ?? this.prepared.found.messages.get(term);
    if (!earlier) return undefined;
    const deleted = this.tail.deletion(term) ?? earlier.deleted;
    return {
      ...earlier,
      ...(deleted ? { deleted } : {}),
      hasText: (text) => this.#hasText(earlier, ref, text),
    };
  };

  #hasText({ senderId, seq, text: sealed }: StoredMessage, { roomId, messageId }: MessageRef, text: string) {
    const keys = this.prepared.found.roomKeys.get(roomKeysId({ owner: senderId, roomId }));
    if (sealed === null || !(keys instanceof RoomKeys)) return false;
    return openText(keys, { seq, rev: 0 }, sealed, messageContext(roomId, messageId)) === text;
  }
}
