import { type ParleyError, unauthenticated } from '../errors.js';
import type { MessageRef, StoredMessage } from '../events/changes.js';
import type { UserId } from '../events/ids.js';
import { sealContext } from '../events/types.js';
import { seal } from '../vault/cipher.js';
import type { DataKey } from '../vault/vault.js';
import type { CommandOf } from './commands.js';
import type { WriterDeps } from './ports.js';
import type { RoomCommand } from './room.js';
import type { Stream, StreamCache } from './streams.js';
import type { Pin, Tail } from './tail.js';
import type { Task } from './task.js';
import type { UserCommand } from './user.js';

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
  readonly stream: Stream;
  readonly pin: Pin;
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
  { reads, keys, devices }: Pick<WriterDeps, 'reads' | 'keys' | 'devices'>,
): Promise<Prepared[]> {
  const pin = tail.pin(tasks.length);
  const used = tasks.map((task) => streams.acquire(task.stream));
  try {
    const wanted = wantsOf(tasks);
    const missing = [...new Set(used)].filter((stream) => !stream.loaded);
    const [rows, ownerKeys, messages, users, active] = await Promise.all([
      missing.length > 0 ? reads.states(missing.map(({ name }) => name)) : nothing,
      wanted.keys.size > 0 ? keys.keys([...wanted.keys]) : nothing,
      wanted.messages.length > 0 ? reads.messages(wanted.messages) : nothing,
      wanted.users.size > 0 ? reads.existing([...wanted.users]) : nobody,
      wanted.leaving.size > 0 && devices ? devices.elsewhere([...wanted.leaving]) : nobody,
    ]);
    for (const stream of missing) stream.load(rows.get(stream.name), tail);
    const found: Found = { keys: ownerKeys, messages, users, active };
    return tasks.map((task, i) => {
      // `used` has one stream a task.
      const stream = used[i] as Stream;
      return { task, command: sealed(task, ownerKeys), stream, pin, found };
    });
  } catch (error) {
    for (const stream of used) {
      streams.release(stream);
      tail.letGo(pin);
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
