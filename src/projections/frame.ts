import type { CommitFrame } from '../bus/bus.js';
import { decodeLeaf } from '../events/codec.js';
import { type Commit, type Hash, HoleError } from '../log/log.js';
import { TILE } from '../log/merkle.js';
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
> & {
  /** As in `HashedCommit`, if they have been computed already. */
  readonly leafHashes?: readonly Hash[];
  readonly filled?: readonly Hash[];
};

/** A commit with its events decoded. */
export interface Frame extends Pick<CommitFrame, 'partition' | 'position' | 'size'> {
  readonly events: readonly Folded[];
}

/** Throws `UnknownEventType`. */
export function frameOf(commit: LeafCommit): Frame {
  const { partition, position, firstOffset, size, leaves, leafHashes, filled } = commit;
  const firstTile = Math.floor(firstOffset / TILE);
  const events = leaves.map((leaf, i) => {
    const end = firstOffset + i + 1;
    const tileHash = end % TILE === 0 ? filled?.[end / TILE - 1 - firstTile] : undefined;
    // The event was made just now and is nobody else's: added to, not copied.
    const event = decodeLeaf(leaf, partition, end - 1);
    return Object.assign(event, { leaf, leafHash: leafHashes?.[i], tileHash, position });
  });
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
