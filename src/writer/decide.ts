import { unauthenticated } from '../base/errors.js';
import type { AdmissionQueue } from '../base/rateLimits.js';
import {
  type Answer,
  type Answers,
  type Command,
  type CommandKind,
  commandDeclaration,
  decideCommand,
} from '../domain/commands.js';
import type { Decision, EarlierMessage, Facts } from '../domain/defineCommand.js';
import { type Recorded, sealedTextOf } from '../domain/events.js';
import type { Time } from '../domain/fields.js';
import type { Actor, MessageRef, StreamName, UserId, WriterInRoom } from '../domain/ids.js';
import { messageContext, messageTerm, type StoredMessage } from '../domain/messages.js';
import { seal } from '../vault/dataKeys.js';
import { openText, RoomKeys, roomKeysId, sealText } from '../vault/textKeys.js';
import type { DataKey } from '../vault/vault.js';
import type { MessageIds } from './messageIds.js';
import type { StreamCache, StreamState, Tail, TailPin } from './streamState.js';
import type { DecisionLookups } from './writerPorts.js';

/** A command on its way through a writer. Its caller gets the outcome once. */
export class Task {
  constructor(
    readonly command: Command,
    readonly commandId: string,
    readonly stream: StreamName,
    private readonly bytes: number,
    private readonly queue: AdmissionQueue,
    private readonly resolve: (answer: never) => void,
    private readonly reject: (error: unknown) => void,
  ) {}

  /** Who asked. */
  get actor(): Actor {
    return commandDeclaration(this.command.kind).actor(this.command);
  }

  answer(answer: Answer<CommandKind>): void {
    this.queue.leave(this.bytes);
    // A caller takes what its command's kind is answered with, and a writer gives no other.
    this.resolve(answer as never);
  }

  refuse(error: unknown): void {
    this.queue.leave(this.bytes);
    this.reject(error);
  }
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
 * Fetches the facts and keys for a round of commands, with one query for each kind. Changes only caches, and keeps
 * the order. Rejects if a fact cannot be fetched; then no stream and no pin is held.
 */
export async function prepare(
  tasks: readonly Task[],
  { streams, tail, ids }: Memory,
  { reads, keys, devices }: DecisionLookups,
): Promise<Prepared[]> {
  const pin = tail.pin(tasks.length);
  const used = tasks.map((task) => streams.acquire(task.stream));
  try {
    const wanted = wantsOf(tasks);
    // After the pin: an id that is used from now on is in the tail. Nearly all ids are new, and need no read.
    const asked = ids.select(wanted.messages);
    const missing = [...new Set(used)].filter((stream) => !stream.isLoaded);
    const [rows, ownKeys, roomKeys, messages, users, active] = await Promise.all([
      missing.length > 0 ? reads.states(missing.map(({ name }) => name)) : nothing,
      wanted.ownKeys.size > 0 ? keys.getKeys([...wanted.ownKeys]) : nothing,
      wanted.textKeys.size > 0 ? keys.getRoomKeys([...wanted.textKeys.values()]) : nothing,
      asked.length > 0 ? reads.messages(asked) : nothing,
      wanted.users.size > 0 ? reads.existing([...wanted.users]) : nobody,
      wanted.leaving.size > 0 && devices ? devices.findActive([...wanted.leaving]) : nobody,
    ]);
    for (const stream of missing) stream.load(rows.get(stream.name), tail);
    const found: Found = { ownKeys, roomKeys, messages, users, active };
    // `used` has one stream a task.
    return tasks.map((task, i) => ({ task, stream: used[i] as StreamState, pin, found }));
  } catch (error) {
    for (const stream of used) {
      streams.release(stream);
      tail.unpin(pin);
    }
    throw error;
  }
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
const nobody: ReadonlySet<UserId> = new Set();

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

/**
 * Seals the sealed field of an event as it was decided. Throws `KeyMissing` if the command did not want its key, and
 * `TextDestroyed` if the text's place was destroyed before.
 */
export function sealEvent(event: Recorded, { ownKeys, roomKeys }: Found): Recorded {
  const field = sealedTextOf(event);
  if (!field) return event;
  const { owner, text, context, place } = field;
  const key = place ? roomKeys.get(roomKeysId({ owner, roomId: place.roomId })) : ownKeys.get(owner);
  if (key === undefined || key === 'destroyed')
    throw new Error(`the key that seals ${event.type} of ${owner} was not fetched`);
  const sealed =
    place && key instanceof RoomKeys
      ? sealText(key, place, text, context)
      : seal(key as DataKey, text, context);
  return { ...event, data: { ...event.data, [field.field]: sealed } } as Recorded; // A sealed field is a string.
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
