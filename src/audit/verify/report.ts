import { LogEndsEarly } from '../../log/checkLog.js';
import { BrokenCommit } from '../../log/commit.js';
import { type Hash, HoleError, StorageError } from '../../log/log.js';

/** Where something is wrong, and what: one line for the operator. */
export interface Mismatch {
  readonly what: string;
  readonly partition?: number;
  /** The commit's. */
  readonly position?: number;
  /** The event's. */
  readonly offset?: number;
}

/** What is read contradicts what must hold. Thrown where it is seen; `mismatch` says where. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError';
  constructor(readonly mismatch: Mismatch) {
    super(mismatch.what);
  }
}

/** SQLite's primary result codes that say nothing of what the file holds: busy, no memory, no disk, no file. */
const outages = new Set([5, 6, 7, 10, 13, 14]);

/**
 * What an error says that was thrown while a partition was read and checked from behind `position`. What is no
 * finding but an outage (the database does not answer, the disk is full) is thrown again.
 */
export function toMismatch(error: unknown, partition: number, position: number): Mismatch {
  if (isOutage(error)) throw error;
  if (error instanceof MismatchError) return error.mismatch;
  const what = error instanceof Error ? error.message : String(error);
  if (error instanceof BrokenCommit) return { what, partition, position: error.position };
  if (error instanceof HoleError) return { what, partition, position: error.missing };
  if (error instanceof LogEndsEarly) return { what, partition, position: error.position + 1 };
  // Whatever a damaged store makes its reader throw: text that is no JSON, numbers that are none.
  const next = position + 1;
  return {
    what: `partition ${partition} cannot be read from position ${next} on: ${what}`,
    partition,
    position: next,
  };
}

/** The same of an error that was thrown while something else than a partition was read, which is named. */
export function toUnreadable(error: unknown, whose: string): Mismatch {
  if (isOutage(error)) throw error;
  if (error instanceof MismatchError) return error.mismatch;
  return { what: `${whose} cannot be read: ${error instanceof Error ? error.message : String(error)}` };
}

function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // The driver's errors, told by their names: its module is loaded only where it is used.
  if (error.name.startsWith('Mongo')) return true;
  if (error instanceof StorageError && error.cause !== undefined) return isOutage(error.cause);
  return 'errcode' in error && outages.has(Number(error.errcode) & 0xff);
}

/** What was found. */
export interface Report {
  readonly partitions: readonly CheckedPartition[];
  /** By read model how many of its rows were compared. */
  readonly models: readonly { readonly name: string; readonly rows: number }[];
  /** The first wrong place; absent: none. What comes after it was not looked at. */
  readonly mismatch?: Mismatch;
}

/** A partition as far as nothing is wrong in it. */
export interface CheckedPartition {
  readonly partition: number;
  readonly events: number;
  /** The time of the last of them; empty if there is none. */
  readonly until: string;
  readonly root: Hash;
  /** A bundle has no commits. */
  readonly commits?: number;
  /** The last commit's. */
  readonly hash?: Hash;
}

/** How far a long piece of work is. */
export interface Progress {
  /** What is being done, in a few words. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** Of this phase, since it began. */
  readonly perSecond: number;
  /** Undefined until the speed is known. */
  readonly remainingMs: number | undefined;
}

/** Told now and then, synchronously. */
export type OnProgress = (progress: Progress) => void;

/** Measures one phase on the monotonic clock. */
export class Meter {
  #done = 0;
  readonly #from = performance.now();
  readonly #alreadyDone: number;

  /** `alreadyDone`: by an earlier run; it says nothing of the speed. */
  constructor(
    private readonly phase: string,
    private readonly total: number,
    private readonly tell: OnProgress = () => {},
    alreadyDone = 0,
  ) {
    this.#alreadyDone = alreadyDone;
  }

  add(count: number): void {
    this.#done += count;
    const ms = performance.now() - this.#from;
    const perSecond = ms > 0 ? (this.#done * 1000) / ms : 0;
    const done = this.#alreadyDone + this.#done;
    const left = Math.max(0, this.total - done);
    const remainingMs = perSecond > 0 ? (left * 1000) / perSecond : undefined;
    this.tell({
      phase: this.phase,
      done: Math.min(done, this.total),
      total: this.total,
      perSecond,
      remainingMs,
    });
  }
}
