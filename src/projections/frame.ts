import type { CommitFrame } from '../bus/bus.js';
import { decodeLeaf } from '../events/codec.js';
import { type Commit, HoleError } from '../log/log.js';

/** What projections are folded from. */
export interface LogSource {
  /** As `EventLog.read`. */
  read(partition: number, after: number, limit: number): Promise<Commit[]>;
}

/** What a projector needs of a commit. */
export type LeafCommit = Pick<
  Commit,
  'partition' | 'position' | 'firstOffset' | 'size' | 'recordedAt' | 'leaves'
>;

/** A commit with its events decoded. */
export type Frame = Pick<CommitFrame, 'partition' | 'position' | 'size' | 'events'>;

/** Throws `UnknownEventType`. */
export function frameOf({ partition, position, firstOffset, size, leaves }: LeafCommit): Frame {
  const events = leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i));
  return { partition, position, size, events };
}

/** As `LogSource.read`; a hole that is still there when read again is one. */
export async function readOverGap(
  log: LogSource,
  partition: number,
  after: number,
  limit: number,
): Promise<Commit[]> {
  try {
    return await log.read(partition, after, limit);
  } catch (error) {
    if (!(error instanceof HoleError)) throw error;
    return log.read(partition, after, limit);
  }
}
