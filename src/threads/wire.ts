import type { NodeId } from '../bus/bus.js';
import type { Owners } from '../cluster/ownership.js';
import type { Answer, Command, CommandKind } from '../commands/commands.js';
import { type ErrorCode, type ErrorDetails, ParleyError } from '../errors.js';
import type { UserId } from '../events/ids.js';
import type { PackedCommit } from '../log/codec.js';
import type { Engine } from '../projections/engine.js';
import type { DataKey } from '../vault/vault.js';

/** What crosses between the thread of the sockets and that of the writers. */

export interface WriterThreadData {
  readonly engine: Engine;
  readonly node: NodeId;
  /** For a new log; one that exists must have them. */
  readonly partitions: number | undefined;
}

/** What the writers' thread serves. */
export interface WriterApi {
  [method: string]: (...args: never[]) => unknown;
  /** Opens the log, or makes it. */
  open(): Promise<{ readonly id: string; readonly partitions: number }>;
  /**
   * Begins to take this node's share of the partitions, and resolves when all are served, here or elsewhere, or after
   * 10 s; `folded`: tree sizes by model and partition; `generations`: by model.
   */
  start(
    folded: ReadonlyMap<string, readonly number[]>,
    generations: ReadonlyMap<string, number>,
  ): Promise<void>;
  /** Later reads of the model are of this generation; resolves when none of another is open. */
  switchTo(name: string, generation: number): Promise<void>;
  /** Hands all partitions over; resolves when what was in flight has its outcome, or after 2 s. */
  handOver(): Promise<void>;
  /** Hands over, and closes the log. */
  stop(): Promise<void>;
}

/** A command, with a number of its call; `epoch` is that of the lease it is addressed to. */
export type SentCommand = readonly [call: number, command: Command, commandId: string, epoch: number];

/** One message of the main thread: commands in the order of the calls, or how far the read models are. */
export type ToWriters =
  | { readonly commands: readonly SentCommand[] }
  /** Leases have changed hands. */
  | { readonly look: true }
  /** The user's key was destroyed. */
  | { readonly forget: UserId }
  | { readonly advances: readonly (readonly [model: string, partition: number, size: number])[] }
  | {
      readonly keys: readonly (readonly [owner: UserId, key: Uint8Array | 'destroyed'])[];
      readonly request: number;
    }
  | { readonly keysFailed: string; readonly request: number }
  /** The answer to `mayAppendTo`. */
  | { readonly mayAppend: number; readonly refusal: WireError | undefined };

/** What the writers' thread has to tell, in the order in which it became so. */
export type FromWriters =
  | { readonly commit: PackedCommit }
  | { readonly answered: number; readonly answer: Answer<CommandKind> }
  | { readonly refused: number; readonly error: WireError }
  /** `NotOwner`. */
  | { readonly returned: number }
  | { readonly owners: Owners }
  /** This node has taken or released partitions. */
  | { readonly moved: true }
  | { readonly appended: { readonly events: number; readonly ms: number } }
  | { readonly keysOf: readonly UserId[]; readonly request: number }
  | { readonly mayAppendTo: number; readonly request: number }
  | { readonly report: string; readonly error: WireError }
  | { readonly fatal: WireError };

export type Keys = ReadonlyMap<UserId, DataKey | 'destroyed'>;

/** An error's meaning without its class. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: WireError | undefined;
  readonly parley: { readonly code: ErrorCode; readonly details: ErrorDetails } | undefined;
}

export function toWire(error: unknown): WireError {
  const { name, message, stack, cause } = error instanceof Error ? error : new Error(String(error));
  const parley = error instanceof ParleyError ? { code: error.code, details: error.details } : undefined;
  return { name, message, stack, parley, cause: cause === undefined ? undefined : toWire(cause) };
}

export function fromWire({ name, message, stack, cause, parley }: WireError): Error {
  const options = cause === undefined ? {} : { cause: fromWire(cause) };
  if (parley) return new ParleyError(parley.code, message, parley.details, options);
  const error = new Error(message, options);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
