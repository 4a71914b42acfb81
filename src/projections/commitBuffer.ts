import type { CommitFrame } from '../cluster/bus.js';
import { parseLeaf } from '../domain/codec.js';
import type { Time } from '../domain/fields.js';
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
    const { stream, version, type, data, actor, recordedAt, commandId } = parseLeaf(leaf);
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
    return event as Folded; // Only its place and its text were added.
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

/** Times that are kept for each partition. Later commits count as old as the last one kept. */
const MAX_TIMES = 1024;

/** The tree size that a commit reaches, and the time it was recorded. */
export interface CommitExtent {
  readonly partition: number;
  /** The tree size after the commit. */
  readonly size: number;
  readonly recordedAt: Time;
}

interface Entry {
  size: number;
  /** By the clock of the process that recorded it. */
  recordedAt: Time;
  /** Milliseconds on the monotonic clock of this process. */
  readonly seenAt: number;
}

/** The published commits that some read model has not folded yet. */
export class UnfoldedCommits {
  /** By partition, oldest first. A list is never empty. */
  readonly #entries = new Map<number, Entry[]>();

  add({ partition, size, recordedAt }: CommitExtent, ticks: number) {
    const entries = this.#entries.get(partition) ?? [];
    const last = entries.at(-1);
    if (last && entries.length >= MAX_TIMES) last.size = Math.max(last.size, size);
    else entries.push({ size, recordedAt, seenAt: ticks });
    this.#entries.set(partition, entries);
  }

  /** Removes commits that every model has folded. */
  remove(partition: number, size: number): void {
    const entries = this.#entries.get(partition);
    while (entries?.[0] && entries[0].size <= size) entries.shift();
    if (entries?.length === 0) this.#entries.delete(partition);
  }

  /** Restarts the age of a partition's commits, so that its new owner is not blamed for the old lag. */
  rebase(partition: number, now: number): void {
    const time = new Date(now).toISOString();
    for (const entry of this.#entries.get(partition) ?? []) entry.recordedAt = time;
  }

  get partitions(): readonly number[] {
    return [...this.#entries.keys()];
  }

  /** When the oldest commit was recorded, in milliseconds since 1970; undefined if there is none. */
  recordedAt(partition: number): number | undefined {
    const oldest = this.#entries.get(partition)?.[0];
    return oldest && Date.parse(oldest.recordedAt);
  }

  /** When this process learned of the oldest commit; undefined if there is none. */
  seenAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.seenAt;
  }

  /** The largest published size; 0 if there is none. */
  size(partition: number): number {
    return Math.max(0, ...(this.#entries.get(partition) ?? []).map(({ size }) => size));
  }
}
