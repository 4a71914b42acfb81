import type { AdmissionQueue } from '../base/admissionQueue.js';
import { unauthenticated } from '../base/errors.js';
import {
  type Answer,
  type Answers,
  type Command,
  type CommandKind,
  commandDeclaration,
  decideCommand,
} from '../domain/commands.js';
import type { Decision, EarlierMessage, Facts } from '../domain/defineCommand.js';
import type { Sealed, Time } from '../domain/fields.js';
import type { Actor, MessageRef, StreamName, UserId } from '../domain/ids.js';
import { messageContext, messageTerm, type StoredMessage } from '../domain/messages.js';
import { open, seal } from '../vault/dataKeys.js';
import type { DataKey } from '../vault/vault.js';
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
  /** The command's sealed text; `destroyed` if the key of its owner no longer exists. */
  readonly sealed: Sealed | 'destroyed' | undefined;
  readonly stream: StreamState;
  readonly pin: TailPin;
  readonly found: Found;
}

/** The results of the look-ups of one round. Messages are as of the query: later ones are in the tail. */
export interface Found {
  readonly keys: ReadonlyMap<UserId, DataKey | 'destroyed'>;
  readonly messages: ReadonlyMap<string, StoredMessage>;
  readonly users: ReadonlySet<UserId>;
  /** Of the users who are to go offline: those still active on a node. */
  readonly active: ReadonlySet<UserId>;
}

/** The parts of a writer's memory that `prepare` uses. */
interface Memory {
  readonly streams: StreamCache;
  readonly tail: Tail;
}

/**
 * Fetches the facts for a round of commands, with one query for each kind of fact, and seals their texts. Changes
 * only caches, and keeps the order. Rejects if a fact cannot be fetched; then no stream and no pin is held.
 */
export async function prepare(
  tasks: readonly Task[],
  { streams, tail }: Memory,
  { reads, keys, devices }: DecisionLookups,
): Promise<Prepared[]> {
  const pin = tail.pin(tasks.length);
  const used = tasks.map((task) => streams.acquire(task.stream));
  try {
    const wanted = wantsOf(tasks);
    const missing = [...new Set(used)].filter((stream) => !stream.isLoaded);
    const [rows, ownerKeys, messages, users, active] = await Promise.all([
      missing.length > 0 ? reads.states(missing.map(({ name }) => name)) : nothing,
      wanted.keys.size > 0 ? keys.getKeys([...wanted.keys]) : nothing,
      wanted.messages.length > 0 ? reads.messages(wanted.messages) : nothing,
      wanted.users.size > 0 ? reads.existing([...wanted.users]) : nobody,
      wanted.leaving.size > 0 && devices ? devices.findActive([...wanted.leaving]) : nobody,
    ]);
    for (const stream of missing) stream.load(rows.get(stream.name), tail);
    const found: Found = { keys: ownerKeys, messages, users, active };
    return tasks.map((task, i) => {
      // `used` has one stream a task.
      const stream = used[i] as StreamState;
      return { task, sealed: sealText(task, ownerKeys), stream, pin, found };
    });
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
  const keys = new Set<UserId>();
  const users = new Set<UserId>();
  const leaving = new Set<UserId>();
  const messages: MessageRef[] = [];
  for (const { command } of tasks) {
    const { seals, wants } = commandDeclaration(command.kind);
    if (seals) keys.add(seals.owner(command));
    if (!wants) continue;
    const wanted = wants(command);
    for (const user of wanted.users ?? []) users.add(user);
    for (const user of wanted.devices ?? []) leaving.add(user);
    for (const ref of wanted.messages ?? []) messages.push(ref);
  }
  return { keys, users, leaving, messages };
}

function sealText({ command }: Task, keys: Found['keys']): Sealed | 'destroyed' | undefined {
  const { seals } = commandDeclaration(command.kind);
  if (!seals) return undefined;
  const owner = seals.owner(command);
  const key = keys.get(owner);
  if (key === undefined) throw new Error(`the vault gave no key of ${owner}`);
  return key === 'destroyed' ? key : seal(key, seals.text(command), seals.context(command));
}

/** Decides a prepared command against its stream's state; `now` is the time of the commit to be. */
export function decide(prepared: Prepared, tail: Tail, now: Time): Decision<Answers[CommandKind]> {
  const { task, sealed, stream } = prepared;
  if (sealed === 'destroyed') return { refused: unauthenticated('this user has been erased') };
  const { command } = task;
  const facts = new FoundFacts(prepared, sealed ?? '', tail, now);
  return decideCommand<CommandKind>(command, stream.state, facts);
}

/** The facts of one command, from the look-ups and the tail. */
class FoundFacts implements Facts {
  constructor(
    private readonly prepared: Prepared,
    readonly sealed: Sealed,
    private readonly tail: Tail,
    readonly now: Time,
  ) {}

  readonly exists = (user: UserId): boolean => this.prepared.found.users.has(user);

  readonly isActive = (user: UserId): boolean => this.prepared.found.active.has(user);

  readonly message = (ref: MessageRef): EarlierMessage | undefined => {
    const term = messageTerm(ref);
    // Read the tail last. It holds each message that the history lacked at the query, and those of this batch.
    const earlier = this.prepared.found.messages.get(term) ?? this.tail.message(term);
    return earlier && { ...earlier, hasText: (text) => this.#opensTo(earlier, ref, text) };
  };

  #opensTo(
    { senderId, text: sealed }: StoredMessage,
    { roomId, messageId }: MessageRef,
    text: string,
  ): boolean {
    const key = this.prepared.found.keys.get(senderId);
    return key instanceof Buffer && open(key, sealed, messageContext(roomId, messageId)) === text;
  }
}
