import type { CommitFrame } from '../cluster/bus.js';
import { parseLeaf } from '../domain/codec.js';
import {
  type Commit,
  type EventLog,
  type Hash,
  HoleError,
  MAX_READ_BYTES,
  type PlaceAfter,
} from '../log/log.js';
import { TILE_WIDTH } from '../log/merkle.js';
import type { Folded } from './projection.js';

/** The log as projections read it. */
export type CommitSource = Pick<EventLog, 'read' | 'readNext'>;

/** The fields of a commit that a projector needs. */
export interface LeafCommit extends Omit<Commit, 'id' | 'epoch' | 'root' | 'frontier' | 'hash'> {
  /** Hashes as in `HashedCommit`, if they are computed already. */
  readonly leafHashes?: readonly Hash[];
  readonly filled?: readonly Hash[];
}

/** A commit with its events decoded. */
export interface DecodedCommit extends Pick<CommitFrame, 'partition' | 'position' | 'size'> {
  readonly events: readonly Folded[];
}

/** Decodes the events of a commit. Throws `UnknownEventType`. */
export function decodeCommit(commit: LeafCommit): DecodedCommit {
  const { partition, position, firstOffset, size, leaves, leafHashes, filled } = commit;
  const firstTile = Math.floor(firstOffset / TILE_WIDTH);
  const events = leaves.map((leaf, i): Folded => {
    const end = firstOffset + i + 1;
    const tileHash = end % TILE_WIDTH === 0 ? filled?.[end / TILE_WIDTH - 1 - firstTile] : undefined;
    const { stream, version, type, data, actor, recordedAt, commandId, via } = parseLeaf(leaf);
    const leafHash = leafHashes?.[i];
    const offset = end - 1;
    // Field by field: to spread the event takes as long as to parse it.
    const event = {
      partition,
      offset,
      stream,
      version,
      type,
      data,
      actor,
      recordedAt,
      commandId,
      leaf,
      leafHash,
      tileHash,
      position,
    };
    // Only its place and its text were added.
    return (via === undefined ? event : { ...event, via }) as Folded;
  });
  return { partition, position, size, events };
}

/** Reads like `EventLog.read`, once more after a `HoleError`: a concurrent append can look like a hole. */
export const readRetryingHole = (
  log: CommitSource,
  partition: number,
  after: number,
  limit: number,
): Promise<Commit[]> => retryHole(() => log.read(partition, after, limit));

/** Reads like `EventLog.readNext`, once more after a `HoleError`. */
export const readNextRetryingHole = (
  log: CommitSource,
  places: readonly PlaceAfter[],
  limit: number,
): Promise<Commit[]> => retryHole(() => log.readNext(places, limit));

async function retryHole<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof HoleError)) throw error;
    return read();
  }
}

/** Whether a read may have stopped at `MAX_READ_BYTES`. A character takes at most three bytes. */
export function isCut(commits: readonly Pick<Commit, 'leaves'>[]): boolean {
  let chars = 0;
  for (const { leaves } of commits) for (const leaf of leaves) chars += leaf.length;
  return 3 * chars >= MAX_READ_BYTES;
}
