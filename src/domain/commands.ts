import type { ParleyError } from '../base/errors.js';
import type { Message } from './contract.js';
import type { AuditResource, NewEvent, Recorded, Time } from './events.js';
import type { RoomId, UserId } from './ids.js';

/** What can be asked of a writer. The actor comes from the session, never from a payload. */
export type Command =
  | {
      readonly kind: 'register user';
      readonly userId: UserId;
      readonly username: string;
      readonly backgroundColor: string;
    }
  | { readonly kind: 'go online'; readonly userId: UserId }
  /** `lastSeen`: when the last device was lost or went to the background. */
  | { readonly kind: 'go offline'; readonly userId: UserId; readonly lastSeen: Time }
  | { readonly kind: 'erase user'; readonly userId: UserId }
  /** Of the system: the user has been erased, and was or may be a member of the room. */
  | { readonly kind: 'erase member'; readonly roomId: RoomId; readonly userId: UserId }
  /** Of the operator. */
  | { readonly kind: 'appoint auditor'; readonly userId: UserId }
  | { readonly kind: 'dismiss auditor'; readonly userId: UserId }
  /** `userId` is the auditor, who is refused as `forbidden` if they are none. */
  | {
      readonly kind: 'record audit read';
      readonly userId: UserId;
      readonly resource: AuditResource;
      readonly query: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'add friend'; readonly actor: UserId; readonly friendId: UserId }
  | { readonly kind: 'init chat'; readonly actor: UserId; readonly friendId: UserId }
  | {
      readonly kind: 'send message';
      readonly actor: UserId;
      readonly roomId: RoomId;
      readonly messageId: string;
      readonly message: string;
      readonly replyTo?: string;
    }
  | {
      readonly kind: 'read messages';
      readonly actor: UserId;
      readonly roomId: RoomId;
      readonly upTo?: number;
    };

export type CommandKind = Command['kind'];
export type CommandOf<K extends CommandKind> = Extract<Command, { kind: K }>;

/** What each command answers, beside the moment of the log from which on it is true. */
export interface Answers {
  /** `isNew`: this command registered the user. */
  'register user': { readonly isNew: boolean };
  /** `changed`: this command changed the state. */
  'go online': { readonly changed: boolean };
  'go offline': { readonly changed: boolean };
  'erase user': { readonly changed: boolean };
  'erase member': { readonly changed: boolean };
  'appoint auditor': { readonly changed: boolean };
  'dismiss auditor': { readonly changed: boolean };
  'record audit read': { readonly changed: boolean };
  'add friend': { readonly isNew: boolean };
  'init chat': { readonly roomId: RoomId; readonly isNewActive: boolean };
  /** Opened: as it goes to the sender. */
  'send message': { readonly message: Message };
  'read messages': { readonly upTo: number; readonly unread: number };
}

/** A moment of the log: the tree size of a partition. What is at an offset below `size` is included. */
export interface Moment {
  readonly partition: number;
  readonly size: number;
}

export type Answer<K extends CommandKind> = Answers[K] & { readonly moment: Moment };

/**
 * Brings a command to the writer of its stream's partition. Resolves when what it changed is durable, after
 * the commit has been published on the bus; commands on one stream take effect in the order of the calls.
 * The caller's `commandId` (a UUID) is in the events it makes, so that a gateway knows its own.
 * Rejects with a `ParleyError`: refused, `overloaded` (nothing was done) or `unknown` (it may have happened).
 */
export interface CommandRouter {
  execute<K extends CommandKind>(command: CommandOf<K>, commandId: string): Promise<Answer<K>>;
}

/** What a waiting command holds beside its text, in bytes, roughly. */
const FIXED_BYTES = 1024;

/** What a waiting command costs in memory, in bytes, roughly. */
export const bytesOf = (command: Command): number =>
  command.kind === 'send message' ? FIXED_BYTES + 2 * command.message.length : FIXED_BYTES;

/** Where commands go that are for a partition of this node; `epoch` is that of the lease they are addressed to. */
export interface OwnWriters {
  /** See `CommandRouter.execute`. Rejects with `NotOwner`, nothing done, when the partition is not owned by that lease. */
  submit<K extends CommandKind>(command: CommandOf<K>, commandId: string, epoch: number): Promise<Answer<K>>;
}

/** `refused`: the command changes nothing and its sender is told why. */
export type Decision<A> =
  | { readonly events: readonly NewEvent[]; readonly answer: A }
  | { readonly refused: ParleyError };

/** One aggregate: pure; time, ids and facts come in with the command. */
export interface Decider<C, S, F, A> {
  readonly initial: S;
  /** Never mutates `state`. A state is a JSON value: it is kept as a row. */
  evolve(state: S, event: Recorded): S;
  decide(command: C, state: S, known: F): Decision<A>;
}
