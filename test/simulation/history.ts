import type { ErrorCode } from '../../src/base/errors.js';
import type { Answer, Command, CommandKind } from '../../src/domain/commands.js';
import type { Stored } from './database.js';

/** The outcome of one attempt; `lost`: the process died, and the connection with it. */
export type Outcome = { readonly answer: Answer<CommandKind> } | { readonly code: ErrorCode } | 'lost';

/** A command given to one process over one connection, with its outcome; times are the world's. */
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

/** A commit that a process would push from, named by its id. */
export interface Viewed {
  readonly node: string;
  readonly partition: number;
  readonly position: number;
  readonly id: string;
  readonly at: number;
}

/** The input of the checker: stored commits, attempts with outcomes, and views. */
export interface History {
  /** By partition, the commits by position, with the time since when a majority had each. */
  readonly log: readonly (readonly Stored[])[];
  readonly attempts: readonly Attempt[];
  readonly views: readonly Viewed[];
  readonly pauses: readonly { readonly node: string; readonly ms: number }[];
  /** Errors that must never happen. */
  readonly failures: readonly string[];
  readonly end: {
    /** Requests without a final answer, long after the last fault. */
    readonly unanswered: number;
    /** By living process, its view of the owners, and how far it has seen each partition. */
    readonly nodes: readonly {
      readonly name: string;
      readonly id: string;
      readonly owners: readonly (string | undefined)[];
      readonly seen: readonly number[];
    }[];
  };
}

/** A promise of the product that was broken. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}
