import type { CommitFrame } from '../bus/bus.js';
import { decodeLeaf } from '../events/codec.js';
import { type Commit, HoleError } from '../log/log.js';
import type { Folded } from './projection.js';

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
export interface Frame extends Pick<CommitFrame, 'partition' | 'position' | 'size'> {
  readonly events: readonly Folded[];
}

/** Throws `UnknownEventType`. */
export function frameOf({ partition, position, firstOffset, size, leaves }: LeafCommit): Frame {
  const events = leaves.map((leaf, i) =>
    // The event was made just now and is nobody else's: added to, not copied.
    Object.assign(decodeLeaf(leaf, partition, firstOffset + i), { leaf, position }),
  );
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
