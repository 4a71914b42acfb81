import { LogEndsEarly } from '../log/check.js';
import { BrokenCommit } from '../log/commit.js';
import { HoleError, StorageError } from '../log/log.js';

/** Where something is wrong, and what: one line for the operator. */
export interface Wrong {
  readonly what: string;
  readonly partition?: number;
  /** The commit's. */
  readonly position?: number;
  /** The event's. */
  readonly offset?: number;
}

/** What is read contradicts what must hold. Thrown where it is seen; `wrong` says where. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction';
  constructor(readonly wrong: Wrong) {
    super(wrong.what);
  }
}

/** SQLite's primary result codes that say nothing of what the file holds: busy, no memory, no disk, no file. */
const outages = new Set([5, 6, 7, 10, 13, 14]);

/**
 * What an error says that was thrown while a partition was read and checked from behind `position`. What is no
 * finding but an outage (the database does not answer, the disk is full) is thrown again.
 */
export function wrongOf(error: unknown, partition: number, position: number): Wrong {
  if (isOutage(error)) throw error;
  if (error instanceof Contradiction) return error.wrong;
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
export function damageOf(error: unknown, whose: string): Wrong {
  if (isOutage(error)) throw error;
  if (error instanceof Contradiction) return error.wrong;
  return { what: `${whose} cannot be read: ${error instanceof Error ? error.message : String(error)}` };
}

function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // The driver's errors, told by their names: its module is loaded only where it is used.
  if (error.name.startsWith('Mongo')) return true;
  if (error instanceof StorageError && error.cause !== undefined) return isOutage(error.cause);
  return 'errcode' in error && outages.has(Number(error.errcode) & 0xff);
}
