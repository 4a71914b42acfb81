import { checkCommit, emptyHead, type Head } from './commit.js';
import type { Commit, Place } from './log.js';

/** Commits are read so many at once. */
const PAGE = 256;

/** What is needed of a log to check it, or to look for something in it; a reader that answers at once will do. */
export interface CheckedLog {
  /** As `EventLog.read`. */
  read(partition: number, after: number, limit: number): Commit[] | Promise<Commit[]>;
  /** As `EventLog.places`. */
  places(partition: number, positions: readonly number[]): Place[] | Promise<Place[]>;
  /** As `EventLog.tail`. */
  tail(partition: number): Commit | undefined | Promise<Commit | undefined>;
}

/** The log ends before the commit that it called its last. */
export class LogEndsEarly extends Error {
  override readonly name = 'LogEndsEarly';
  constructor(
    readonly partition: number,
    readonly position: number,
  ) {
    super(`partition ${partition} could not be read past position ${position}`);
  }
}

/**
 * Reads a partition from its first commit to the one that is its last now, and computes all anew: positions,
 * offsets, epochs, times, the Merkle tree and the hashes, each made of the one before. Answers the head it ends
 * with. Throws `BrokenCommit`, `HoleError` or `LogEndsEarly` at the first commit that is wrong. That commits are
 * missing at the end it cannot see: compare the size and the hash with ones written down before.
 */
export async function checkPartitionLog(
  log: Pick<CheckedLog, 'read' | 'tail'>,
  partition: number,
): Promise<Head> {
  const end = (await log.tail(partition))?.position ?? 0;
  let head = emptyHead(partition);
  while (head.position < end) {
    const page = await log.read(partition, head.position, Math.min(PAGE, end - head.position));
    if (page.length === 0) throw new LogEndsEarly(partition, head.position);
    head = page.reduce(checkCommit, head);
  }
  return head;
}
