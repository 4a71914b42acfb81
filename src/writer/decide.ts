import type { AdmissionQueue } from '../base/admissionQueue.js';
import { type ParleyError, unauthenticated } from '../base/errors.js';
import type { Answer, Answers, Command, CommandKind, CommandOf, Decision } from '../domain/commands.js';
import { sealContext, type Time } from '../domain/events.js';
import type { StreamName, UserId } from '../domain/ids.js';
import { type MessageRef, messageTerm, type StoredMessage } from '../domain/pushes.js';
import {
  type EarlierMessage,
  type RoomCommand,
  type RoomFacts,
  type RoomState,
  roomDecider,
  type SealedSend,
  type SentAnswer,
} from '../domain/room.js';
import {
  type FriendshipState,
  friendshipDecider,
  type UserCommand,
  type UserState,
  userDecider,
} from '../domain/user.js';
import { open, seal } from '../vault/cipher.js';
import type { DataKey } from '../vault/vault.js';
import type { StreamCache, StreamState, Tail, TailPin } from './streamState.js';
import type { DecisionLookups } from './writerPorts.js';

/** A command on its way through a writer, and its caller, who is told the outcome once. */
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
  get actor(): UserId | 'system' {
    const { kind } = this.command;
    if (kind === 'erase member' || kind === 'appoint auditor' || kind === 'dismiss auditor') return 'system';
    return 'actor' in this.command ? this.command.actor : this.command.userId;
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

/** A command as it is decided: its text sealed, or refused before. */
type Decidable =
  | UserCommand
  | RoomCommand
  | CommandOf<'add friend'>
  | { readonly kind: 'refused'; readonly refused: ParleyError };

/** A command with all that deciding it needs. */
export interface Prepared {
  readonly task: Task;
  readonly command: Decidable;
  readonly stream: StreamState;
  readonly pin: TailPin;
  readonly found: Found;
}

/** What the look-ups of one round found; messages as of then: the tail has the later ones. */
export interface Found {
  readonly keys: ReadonlyMap<UserId, DataKey | 'destroyed'>;
  readonly messages: ReadonlyMap<string, StoredMessage>;
  readonly users: ReadonlySet<UserId>;
  /** Of those who are to go offline: who is still active on some node. */
  readonly active: ReadonlySet<UserId>;
}

/** What of a writer's memory preparing needs. */
interface Memory {
  readonly streams: StreamCache;
  readonly tail: Tail;
}

/**
 * Fetches what a round of commands needs, one query a kind for all of them, and seals their text. Changes nothing
 * but what is cached, and keeps the order. Rejects if anything cannot be had; nothing is then held.
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
      wanted.keys.size > 0 ? keys.keys([...wanted.keys]) : nothing,
      wanted.messages.length > 0 ? reads.messages(wanted.messages) : nothing,
      wanted.users.size > 0 ? reads.existing([...wanted.users]) : nobody,
      wanted.leaving.size > 0 && devices ? devices.findActive([...wanted.leaving]) : nobody,
    ]);
    for (const stream of missing) stream.load(rows.get(stream.name), tail);
    const found: Found = { keys: ownerKeys, messages, users, active };
    return tasks.map((task, i) => {
      // `used` has one stream a task.
      const stream = used[i] as StreamState;
      return { task, command: sealed(task, ownerKeys), stream, pin, found };
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
    switch (command.kind) {
      case 'register user':
        keys.add(command.userId);
        break;
      case 'go offline':
        leaving.add(command.userId);
        break;
      case 'add friend':
      case 'init chat':
        users.add(command.friendId).add(command.actor);
        break;
      case 'send message':
        keys.add(command.actor);
        messages.push(command);
        if (command.replyTo !== undefined)
          messages.push({ roomId: command.roomId, messageId: command.replyTo });
        break;
    }
  }
  return { keys, users, leaving, messages };
}

function sealed({ command, actor }: Task, keys: ReadonlyMap<UserId, DataKey | 'destroyed'>): Decidable {
  if (command.kind !== 'send message' && command.kind !== 'register user') return command;
  const key = keys.get(actor);
  if (key === undefined) throw new Error(`the vault gave no key of ${actor}`);
  if (key === 'destroyed') return { kind: 'refused', refused: unauthenticated('this user has been erased') };
  if (command.kind === 'register user')
    return { ...command, username: seal(key, command.username, sealContext.username(actor)) };
  const { kind, roomId, messageId, message, replyTo } = command;
  const text = seal(key, message, sealContext.message(roomId, messageId));
  const send = { kind, actor, roomId, messageId, text };
  return replyTo === undefined ? send : { ...send, replyTo };
}

/** What the deciders answer; `answerOf` makes of it what the caller gets. */
type Decided = Exclude<Answers[CommandKind], Answers['send message']> | SentAnswer;

/** Decides a prepared command against its stream's state; `now` is the time of the commit to be. */
export function decide(prepared: Prepared, tail: Tail, now: Time): Decision<Decided> {
  const { command, found, stream } = prepared;
  // Casts: a stream's kind says what its state is, and a command's kind which stream it has.
  switch (command.kind) {
    case 'refused':
      return command;
    case 'register user':
    case 'go online':
    case 'go offline':
    case 'erase user':
    case 'appoint auditor':
    case 'dismiss auditor':
    case 'record audit read': {
      const facts = { now, isActive: found.active.has(command.userId) };
      return userDecider.decide(command, stream.state as UserState, facts);
    }
    case 'add friend': {
      if (!found.users.has(command.actor)) return { refused: gone() };
      const facts = { otherExists: found.users.has(command.friendId) };
      return friendshipDecider.decide(command, stream.state as FriendshipState, facts);
    }
    case 'init chat': {
      if (!found.users.has(command.actor)) return { refused: gone() };
      const facts = { ...noFacts, now, otherExists: found.users.has(command.friendId) };
      return roomDecider.decide(command, stream.state as RoomState, facts);
    }
    case 'read messages':
    case 'erase member':
      return roomDecider.decide(command, stream.state as RoomState, { ...noFacts, now });
    case 'send message': {
      const { roomId, replyTo } = command;
      const facts: RoomFacts = {
        now,
        otherExists: true,
        earlier: earlierOf(command, found, tail),
        replyExists: replyTo !== undefined && lookUp(messageTerm(roomId, replyTo), found, tail) !== undefined,
      };
      return roomDecider.decide(command, stream.state as RoomState, facts);
    }
  }
}

/** What the caller is told; a message comes back with the text they sent, which is that of the first. */
export function answerOf(command: Command, decided: Decided): Answers[CommandKind] {
  if (command.kind !== 'send message' || !('sentAt' in decided))
    // Only a message is decided with another answer than its caller gets.
    return decided as Answers[CommandKind];
  const { messageId, roomId, actor: senderId, message, replyTo } = command;
  const { seq, sentAt } = decided;
  return {
    message: {
      messageId,
      roomId,
      seq,
      senderId,
      message,
      ...(replyTo === undefined ? {} : { replyTo }),
      sentAt,
    },
  };
}

/** A command of theirs may still have been on its way. */
const gone = () => unauthenticated('this user has been erased');

const noFacts = { otherExists: false, earlier: undefined, replyExists: false } as const;

/** The tail last: what had not been stored when the history was asked is in it, this batch's messages too. */
const lookUp = (term: string, found: Found, tail: Tail) => found.messages.get(term) ?? tail.message(term);

function earlierOf(command: SealedSend, found: Found, tail: Tail): EarlierMessage | undefined {
  const { actor, roomId, messageId, text } = command;
  const earlier = lookUp(messageTerm(roomId, messageId), found, tail);
  if (!earlier) return undefined;
  const key = found.keys.get(actor);
  const context = sealContext.message(roomId, messageId);
  // Both are sealed with the sender's own key; the same text never seals to the same bytes twice.
  const sameText =
    earlier.senderId === actor &&
    key instanceof Buffer &&
    open(key, earlier.text, context) === open(key, text, context);
  return { ...earlier, sameText };
}
