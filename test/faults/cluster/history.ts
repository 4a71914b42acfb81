import { writeFileSync } from 'node:fs';
import type { Message, RequestInput } from '../../../packages/client/src/types.js';
import type { Recorded } from '../../../src/domain/events.js';

/** Read marks of a room, by member. */
export type Marks = Readonly<Record<string, number>>;

export type GroupRequestName =
  | 'edit message'
  | 'delete message'
  | 'react'
  | 'add members'
  | 'remove member'
  | 'leave group';

/** A request that changes a group, or a message in it. */
export type GroupRequest = {
  [N in GroupRequestName]: { readonly request: N; readonly data: RequestInput<N> };
}[GroupRequestName];

/** What a push said of a group, or of a message in it, besides a new message. */
export type Told =
  | { readonly name: 'edit message'; readonly message: Message }
  | { readonly name: 'delete message'; readonly seq: number; readonly by: string }
  | {
      readonly name: 'react';
      readonly seq: number;
      readonly userId: string;
      readonly emoji: string;
      readonly on: boolean;
    }
  | { readonly name: 'members' };

/** What clients did and saw, and what was done to the cluster. An `attempt` is a number of its own for each request. */
export type Happening =
  | { readonly kind: 'room'; readonly roomId: string; readonly members: readonly [string, string] }
  | {
      readonly kind: 'group';
      readonly roomId: string;
      readonly history: 'joined' | 'all';
      readonly owner: string;
      readonly members: readonly string[];
    }
  | { readonly kind: 'device'; readonly device: string; readonly userId: string }
  /** `identity` was answered: `from` is the cursor given, `cursor` the one in the answer. */
  | {
      readonly kind: 'connected';
      readonly device: string;
      readonly connection: number;
      readonly node: string;
      readonly from: string | undefined;
      readonly cursor: string;
    }
  | { readonly kind: 'closed'; readonly device: string; readonly connection: number; readonly code: number }
  | {
      readonly kind: 'sent';
      readonly device: string;
      readonly connection: number;
      readonly attempt: number;
      readonly roomId: string;
      readonly messageId: string;
      readonly text: string;
    }
  | { readonly kind: 'acknowledged'; readonly attempt: number; readonly message: Message }
  /** Answered that nothing was done. */
  | { readonly kind: 'refused'; readonly attempt: number; readonly code: string }
  /** Answered that it is not possible, as somebody has left a group or deleted a message. */
  | { readonly kind: 'denied'; readonly attempt: number; readonly code: string }
  /** Asked of a group; `change` is the same in all attempts at one change. */
  | ({
      readonly kind: 'asked';
      readonly device: string;
      readonly change: number;
      readonly attempt: number;
    } & GroupRequest)
  /** Answered; `rev` is that of an edited message as it was then. */
  | { readonly kind: 'done'; readonly attempt: number; readonly rev?: number }
  | { readonly kind: 'told'; readonly device: string; readonly roomId: string; readonly told: Told }
  /** It may have happened: answered `unknown`, or never. */
  | { readonly kind: 'unknown'; readonly attempt: number; readonly code: string }
  | {
      readonly kind: 'pushed';
      readonly device: string;
      readonly connection: number;
      readonly message: Message;
    }
  | {
      readonly kind: 'mark pushed';
      readonly device: string;
      readonly roomId: string;
      readonly userId: string;
      readonly upTo: number;
    }
  | {
      readonly kind: 'reading';
      readonly device: string;
      readonly attempt: number;
      readonly roomId: string;
    }
  | { readonly kind: 'read'; readonly attempt: number; readonly upTo: number }
  /** Messages from `expected` on, asked for when that one had to be seen: after its answer or its push. */
  | {
      readonly kind: 'fetched';
      readonly device: string;
      readonly after: 'answer' | 'push';
      readonly expected: Message;
      readonly messages: readonly Message[];
    }
  /** A room as a node has it at the end. */
  | {
      readonly kind: 'final';
      readonly node: string;
      readonly roomId: string;
      readonly messages: readonly Message[];
      readonly readUpTo: Marks;
    }
  /** The next events of a group in the log; those of the first entry must have been pushed in the end. */
  | { readonly kind: 'logged'; readonly roomId: string; readonly events: readonly Recorded[] }
  /** A group as a node shows it to somebody at the end; without messages, it was not found. */
  | {
      readonly kind: 'shown';
      readonly node: string;
      readonly roomId: string;
      readonly userId: string;
      readonly messages: readonly Message[] | undefined;
    }
  /** An answer that no fault excuses. */
  | { readonly kind: 'error'; readonly device: string; readonly request: string; readonly code: string }
  /** What should have come by now did not. */
  | { readonly kind: 'overdue'; readonly what: string }
  | { readonly kind: 'fault'; readonly what: string };

/** `at`: milliseconds since the round began, on one monotonic clock for all clients. */
export type Entry = Happening & { readonly at: number };

/** Everything that happened in one round, in the order in which it was noticed. */
export class History {
  readonly entries: Entry[] = [];
  readonly #began = performance.now();
  #attempts = 0;

  /** Milliseconds since the round began. */
  get now(): number {
    return performance.now() - this.#began;
  }

  add(happening: Happening): void {
    this.entries.push({ at: Math.round(this.now * 1000) / 1000, ...happening });
  }

  newAttempt(): number {
    return ++this.#attempts;
  }

  /** Writes it to a file, a JSON object a line. */
  write(path: string): void {
    writeFileSync(path, `${this.entries.map((entry) => JSON.stringify(entry)).join('\n')}\n`);
  }
}
