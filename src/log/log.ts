import { createHash } from 'node:crypto';
import type { StreamName } from '../domain/ids.js';
/** A SHA-256 in base64 (44 characters). */
export type Hash = string;

/** The fields that locate a commit by position, time or offset. */
export interface Place {
  /** 1, 2, 3 … within the partition, without a hole. */
  readonly position: number;
  /** ISO 8601, UTC, milliseconds; never before the previous commit's. */
  readonly recordedAt: string;
  /** The offset of the first leaf; equals `size - leaves.length`. */
  readonly firstOffset: number;
  /** The size of the Merkle tree after this commit. */
  readonly size: number;
}

/**
 * The unit of durability: events of many commands and streams of one partition, appended atomically. The
 * hashes cover the leaves byte for byte.
 */
export interface Commit extends Place {
  readonly partition: number;
  /**
   * A UUID chosen by the writer. After an unknown outcome it tells the writer's own commit from another's.
   */
  readonly id: string;
  /** The term of the partition's owner. Never decreases along the log. */
  readonly epoch: number;
  /** The encoded events (JSON, one line each), as hashed. Empty in a fencing commit. */
  readonly leaves: readonly string[];
  /** The RFC 6962 root after this commit. */
  readonly root: Hash;
  /**
   * The roots of the perfect subtrees after this commit, largest first. Present in fencing commits and every
   * 64th.
   */
  readonly frontier?: readonly Hash[];
  /** SHA-256 over all other fields and the previous commit's hash. */
  readonly hash: Hash;
}

/** `lost`: another writer's commit holds the position. This commit was not stored, and never will be. */
export type Outcome = { readonly kind: 'committed' } | { readonly kind: 'lost'; readonly to: Commit };

/** The place in a partition behind which a read begins. */
export interface PlaceAfter {
  readonly partition: number;
  /** A position; 0 is the beginning. */
  readonly after: number;
}

/**
 * The event store. `append` succeeds only at tail + 1: the unique position is the concurrency control. The
 * caller keeps at most one append in flight per partition.
 */
export interface EventLog {
  /** A UUID made with the log. */
  readonly id: string;
  /** A UUID that every restore renews. Every cursor and revision contains it. */
  readonly history: string;
  /** Fixed when the log is created. */
  readonly partitions: number;
  /**
   * Resolves once the outcome is certain and, if committed, durable. Retries by itself while the outcome is
   * unknown. Throws `AppendError` if the position is not tail + 1, `StorageError` if the process must stop.
   */
  append(commit: Commit): Promise<Outcome>;
  /** Returns at most `limit` contiguous commits after position `after`. Throws `HoleError` on a hole. */
  read(partition: number, after: number, limit: number): Promise<Commit[]>;
  /**
   * Reads behind several places with few calls of the store: at most `limit` contiguous commits of each partition, by
   * partition, then position. Stops early at `MAX_READ_BYTES`, but returns at least one commit if there is one. Throws
   * `HoleError`.
   */
  readNext(places: readonly PlaceAfter[], limit: number): Promise<Commit[]>;
  /**
   * Returns the places of the existing commits at these positions, ascending. Costs a fraction of reading the
   * commits.
   */
  places(partition: number, positions: readonly number[]): Promise<Place[]>;
  /** Returns the last commit at the primary; undefined in an empty partition. */
  tail(partition: number): Promise<Commit | undefined>;
  /** Waits for calls in flight, then closes the store. */
  close(): Promise<void>;
}

/** A position is missing although a later one exists. The reader must stop and raise an alarm. */
export class HoleError extends Error {
  override readonly name = 'HoleError';
  constructor(
    readonly partition: number,
    readonly missing: number,
  ) {
    super(
      `partition ${partition} lacks the commit at position ${missing} but has later ones; stop the node and restore the log`,
    );
  }
}

/** The commit does not follow the tail: a defect of the caller. Nothing was stored. */
export class AppendError extends Error {
  override readonly name = 'AppendError';
}

/**
 * The store failed in a way that must not be retried (fsync, full disk, corruption). The process must stop.
 */
export class StorageError extends Error {
  override readonly name = 'StorageError';
}

/**
 * Decides the outcome of appending `mine` where `there` is stored: the same id is committed, another is lost.
 * Throws `AppendError` if one id was given to two different commits.
 */
export function outcomeOf<C extends Pick<Commit, 'id' | 'hash'>>(
  mine: C,
  there: C,
): { kind: 'committed' } | { kind: 'lost'; to: C } {
  if (there.id !== mine.id) return { kind: 'lost', to: there };
  if (there.hash !== mine.hash)
    throw new AppendError(`commit id ${mine.id} was used before for a different commit`);
  return { kind: 'committed' };
}

/** A read stops after this many bytes of leaves, but returns at least one commit. */
export const MAX_READ_BYTES = 4 * 1024 * 1024;

/** Reads like `EventLog.readNext`, a partition at a time. */
export async function readEach(
  log: Pick<EventLog, 'read'>,
  places: readonly PlaceAfter[],
  limit: number,
): Promise<Commit[]> {
  const commits: Commit[] = [];
  let bytes = 0;
  for (const { partition, after } of places.toSorted((a, b) => a.partition - b.partition)) {
    for (const commit of await log.read(partition, after, limit)) {
      commits.push(commit);
      for (const leaf of commit.leaves) bytes += Buffer.byteLength(leaf);
    }
    if (bytes >= MAX_READ_BYTES) break;
  }
  return commits;
}

/** The log does not extend its last signed head: it was restored from a backup, or altered. */
export class NotExtended extends Error {
  override readonly name = 'NotExtended';
  constructor(
    readonly partition: number,
    what: string,
  ) {
    super(
      `partition ${partition} does not extend its signed head: ${what}; if it was put back, stop all servers and run parley restore --here`,
    );
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
