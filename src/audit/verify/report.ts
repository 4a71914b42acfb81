import { messageOf } from '../../base/errors.js';
import { LogEndsEarly } from '../../log/checkLog.js';
import { BrokenCommit } from '../../log/commit.js';
import { type Hash, HoleError, StorageError } from '../../log/log.js';

/** A mismatch and its place: one line for the operator. */
export interface Mismatch {
  readonly what: string;
  readonly partition?: number;
  /** The position of the commit. */
  readonly position?: number;
  /** The offset of the event. */
  readonly offset?: number;
}

/** Thrown where stored data does not match what it must be. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError';
  constructor(readonly mismatch: Mismatch) {
    super(mismatch.what);
  }
}

/** SQLite's primary result codes that tell nothing about the file: busy, no memory, no disk, no file. */
const OUTAGE_CODES = new Set([5, 6, 7, 10, 13, 14]);

/**
 * Turns an error from reading a partition behind `position` into a mismatch. Throws an outage again, such as
 * a database that does not answer or a full disk.
 */
export function toMismatch(error: unknown, partition: number, position: number): Mismatch {
  if (isOutage(error)) throw error;
  if (error instanceof MismatchError) return error.mismatch;
  const what = messageOf(error);
  if (error instanceof BrokenCommit) return { what, partition, position: error.position };
  if (error instanceof HoleError) return { what, partition, position: error.missing };
  if (error instanceof LogEndsEarly) return { what, partition, position: error.position + 1 };
  // A damaged store makes its reader throw anything, for example a JSON error.
  const next = position + 1;
  return {
    what: `partition ${partition} cannot be read from position ${next} on: ${what}`,
    partition,
    position: next,
  };
}

/**
 * Turns an error from reading anything but a partition into a mismatch; `whose` names what was read. Throws
 * an outage again.
 */
export function toUnreadable(error: unknown, whose: string): Mismatch {
  if (isOutage(error)) throw error;
  if (error instanceof MismatchError) return error.mismatch;
  return { what: `${whose} cannot be read: ${messageOf(error)}` };
}

function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // The driver's errors, compared by name, because its module is loaded only where it is used.
  if (error.name.startsWith('Mongo')) return true;
  if (error instanceof StorageError && error.cause !== undefined) return isOutage(error.cause);
  return 'errcode' in error && OUTAGE_CODES.has(Number(error.errcode) & 0xff);
}

/** The findings of `verify`. */
export interface Report {
  readonly partitions: readonly CheckedPartition[];
  /** None before a server has made them. */
  readonly models: readonly CheckedModel[];
  /** The first mismatch; absent if there is none. Later places were not checked. */
  readonly mismatch?: Mismatch;
}

/** A read model, compared as far as it was folded. */
export interface CheckedModel {
  readonly name: string;
  /** The number of rows compared. */
  readonly rows: number;
  /** The number of events at the ends of the partitions that it did not have yet. */
  readonly missing: number;
}

/** A partition up to its first mismatch. */
export interface CheckedPartition {
  readonly partition: number;
  readonly events: number;
  /** The time of the last event; empty if there is none. */
  readonly until: string;
  readonly root: Hash;
  /** Absent for a bundle, which has no commits. */
  readonly commits?: number;
  /** The hash of the last commit. */
  readonly hash?: Hash;
}

/** The progress of long work. */
export interface WorkProgress {
  /** The phase in a few words. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** The speed of this phase since it began. */
  readonly perSecond: number;
  /** Undefined until the speed is known. */
  readonly remainingMs: number | undefined;
}

/** Called from time to time, synchronously. */
export type OnProgress = (progress: WorkProgress) => void;

/** Measures one phase on the monotonic clock. */
export class Meter {
  #done = 0;
  readonly #from = performance.now();
  readonly #alreadyDone: number;

  /** `alreadyDone`: the work of an earlier run, which does not count for the speed. */
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
