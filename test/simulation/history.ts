import type { ErrorCode } from '../../src/base/errors.js';
import type { Answer, Command, CommandKind } from '../../src/domain/commands.js';
import type { Stored } from './database.js';

/** What came of one attempt; `lost`: the process died, and with it the connection. */
export type Outcome = { readonly answer: Answer<CommandKind> } | { readonly code: ErrorCode } | 'lost';

/** A command as one connection gave it to one process, and what it was told; times are the world's. */
export interface Attempt {
  readonly connection: string;
  /** The name of the process. */
  readonly node: string;
  readonly commandId: string;
  readonly command: Command;
  readonly askedAt: number;
  outcome?: Outcome;
  answeredAt?: number;
}

/** A commit that a process would push from: the id says which. */
export interface Viewed {
  readonly node: string;
  readonly partition: number;
  readonly position: number;
  readonly id: string;
  readonly at: number;
}

/** All that the checker judges: what was stored, what was asked and told, and what was seen. */
export interface History {
  /** By partition, in order of the positions; since when a majority had each. */
  readonly log: readonly (readonly Stored[])[];
  readonly attempts: readonly Attempt[];
  readonly views: readonly Viewed[];
  readonly pauses: readonly { readonly node: string; readonly ms: number }[];
  /** What no part may ever say. */
  readonly failures: readonly string[];
  readonly end: {
    /** Wishes of clients that have no final answer, though nothing has gone wrong for long. */
    readonly unanswered: number;
    /** By process that lives, what it believes who owns each partition, and how far it has seen each. */
    readonly nodes: readonly {
      readonly name: string;
      readonly id: string;
      readonly owners: readonly (string | undefined)[];
      readonly seen: readonly number[];
    }[];
  };
}

/** A promise of the product that was not kept. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}
