import { createHash } from 'node:crypto';
import type { StreamName } from '../domain/ids.js';
/** A SHA-256 in base64 (44 characters). */
export type Hash = string;

/**
 * The unit of durability: the events of many commands, of many streams of one partition,
 * appended atomically at one position. Its leaves are the very bytes that are hashed.
 */
export interface Commit {
  readonly partition: number;
  /** Place in the partition: 1, 2, 3 … with no hole. */
  readonly position: number;
  /** UUID chosen by the writer; tells its own commit from another's after an unknown outcome. */
  readonly id: string;
  /** The owner's term; only grows along the log. */
  readonly epoch: number;
  /** ISO 8601, UTC, milliseconds; never before the previous commit's. */
  readonly recordedAt: string;
  /** The offset of the first leaf; equals `size - leaves.length`. */
  readonly firstOffset: number;
  /** The events' text (JSON, one line each), as hashed. Empty in a fencing commit. */
  readonly leaves: readonly string[];
  /** The Merkle tree's size after this commit. */
  readonly size: number;
  /** The RFC 6962 root after this commit. */
  readonly root: Hash;
  /** The roots of the perfect subtrees after this commit, largest first; in fencing and every 64th commits. */
  readonly frontier?: readonly Hash[];
  /** SHA-256 over all the fields above and the previous commit's hash. */
  readonly hash: Hash;
}

/** Where a commit lies, and when it was recorded: what it is looked for by. */
export type Place = Pick<Commit, 'position' | 'recordedAt' | 'firstOffset' | 'size'>;

/** `lost`: another writer's commit holds the position; nothing of ours was or will be stored there. */
export type Outcome = { readonly kind: 'committed' } | { readonly kind: 'lost'; readonly to: Commit };

/**
 * The event store. `append` succeeds only at tail + 1: the unique position is the concurrency
 * control. One append in flight a partition is the caller's duty.
 */
export interface EventLog {
  /** UUID made with the log; part of every cursor and revision. */
  readonly id: string;
  /** Fixed when the log was made. */
  readonly partitions: number;
  /**
   * Resolves once the outcome is proven and, when committed, durable; settles unknown outcomes itself.
   * Throws `AppendError` if the position is not tail + 1, `StorageError` when the process must stop.
   */
  append(commit: Commit): Promise<Outcome>;
  /** At most `limit` commits after position `after`, contiguous; throws `HoleError` on a hole. */
  read(partition: number, after: number, limit: number): Promise<Commit[]>;
  /**
   * The places of the commits at these positions, ascending; those that do not exist are left out. Costs a fraction of
   * reading commits.
   */
  places(partition: number, positions: readonly number[]): Promise<Place[]>;
  /** The last commit, as of now at the primary; undefined in an empty partition. */
  tail(partition: number): Promise<Commit | undefined>;
  /** Waits for what is in flight and lets go of the store. */
  close(): Promise<void>;
}

/** A position is missing although a later one is there. The reader must stop and raise an alarm. */
export class HoleError extends Error {
  override readonly name = 'HoleError';
  constructor(
    readonly partition: number,
    readonly missing: number,
  ) {
    super(`partition ${partition} has no commit at position ${missing}, but later ones: stop and restore it`);
  }
}

/** The commit does not follow the tail: a defect of the caller, nothing was stored. */
export class AppendError extends Error {
  override readonly name = 'AppendError';
}

/** The store failed in a way that must not be retried (fsync, full disk, corruption): the process stops. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
}

/**
 * The outcome of appending `mine` where `there` already is: a repeat is committed, another writer's commit
 * means lost. Throws `AppendError` if the same id was given to two different commits.
 */
export function outcomeOf<C extends Pick<Commit, 'id' | 'hash'>>(
  mine: C,
  there: C,
): { kind: 'committed' } | { kind: 'lost'; to: C } {
  if (there.id !== mine.id) return { kind: 'lost', to: there };
  if (there.hash !== mine.hash)
    throw new AppendError(`commit ${mine.id} was appended before, with other content`);
  return { kind: 'committed' };
}

/** The most a commit may hold; bytes are of UTF-8. A leaf must fit the 16-bit length of an entry bundle. */
export const caps = { events: 256, bytes: 256 * 1024, leafBytes: 65_535 } as const;

/** More than a commit may hold: a defect of whoever gathered it; nothing was built. */
export class CommitTooLarge extends Error {
  override readonly name = 'CommitTooLarge';
  constructor(
    readonly what: keyof typeof caps,
    readonly is: number,
  ) {
    super(`a commit with ${is} ${what}: at most ${caps[what]} are allowed`);
  }
}

/** Throws `CommitTooLarge` if one commit must not hold these leaves. */
export function checkCaps(leaves: readonly string[]): void {
  if (leaves.length > caps.events) throw new CommitTooLarge('events', leaves.length);
  let bytes = 0;
  for (const leaf of leaves) {
    const length = Buffer.byteLength(leaf);
    if (length > caps.leafBytes) throw new CommitTooLarge('leafBytes', length);
    bytes += length;
  }
  if (bytes > caps.bytes) throw new CommitTooLarge('bytes', bytes);
}

/** The log does not extend the head of it that was signed last: it was restored from a back-up, or altered. */
export class NotExtended extends Error {
  override readonly name = 'NotExtended';
  constructor(
    readonly partition: number,
    what: string,
  ) {
    super(`partition ${partition} does not extend its signed head: ${what}; see docs/audit.md`);
  }
}

/**
 * The partition a stream lives in, 0 to `partitions` − 1: the first four bytes of the SHA-256
 * of its name, modulo. Fixed for ever: another hash would look for streams where they are not.
 */
export function partitionOf(stream: StreamName, partitions: number): number {
  if (partitions === 1) return 0;
  return createHash('sha256').update(stream).digest().readUInt32BE(0) % partitions;
}
