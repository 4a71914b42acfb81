import { hash as digest } from 'node:crypto';

import type { Commit, EventLog, Hash } from './log.js';
import { appendHashes, appendLeaves, leafHash, rootOf, type Tree } from './merkle.js';

/** The state of a partition that its next commit builds on. Plain data, so that it can cross threads. */
export interface Head {
  readonly partition: number;
  /** The position of the last commit; 0 in an empty partition. */
  readonly position: number;
  /** The number of leaves, which is the next event's offset. */
  readonly size: number;
  readonly epoch: number;
  /** The time of the last commit; empty before the first. */
  readonly recordedAt: string;
  /** The hash of the last commit; before the first, the hash of the empty string. */
  readonly hash: Hash;
  readonly frontier: readonly Hash[];
}

/**
 * Each position that is a multiple of this stores the frontier. So a take-over reads at most this many
 * commits.
 */
export const FRONTIER_EVERY_COMMITS = 64;

/** A commit that does not follow the one before it. `field` is the first wrong field. */
export class BrokenCommit extends Error {
  override readonly name = 'BrokenCommit';
  constructor(
    readonly partition: number,
    readonly position: number,
    readonly field: keyof Commit,
  ) {
    super(`the commit at position ${position} of partition ${partition} has a wrong ${field}`);
  }
}

/** The head of an empty partition. */
export const emptyHead = (partition: number): Head => ({
  partition,
  position: 0,
  size: 0,
  epoch: 0,
  recordedAt: '',
  hash: digest('sha256', '', 'base64'),
  frontier: [],
});

/**
 * Returns the time of the commit after `head`, given the clock in milliseconds. Times in a log never
 * decrease.
 */
export function nextRecordedAt(head: Head, now: number): string {
  const time = new Date(now).toISOString();
  if (time < head.recordedAt) return head.recordedAt;
  return time;
}

/**
 * Hashes a commit with SHA-256 over UTF-8 lines joined by "\n". The first line is a JSON array without white
 * space: "parley/commit/1", partition, position, id, epoch, recordedAt, firstOffset, size, root, frontier (an
 * array of base64, or null), the previous commit's hash. Each leaf follows as a line; no leaf has a line
 * break. This format can never change: every hash depends on the one before.
 */
function hashOf(commit: Omit<Commit, 'hash'>, previous: Hash): Hash {
  const { partition, position, id, epoch, recordedAt, firstOffset, size, root, frontier, leaves } = commit;
  const fields = [partition, position, id, epoch, recordedAt, firstOffset, size, root, frontier ?? null];
  const first = JSON.stringify(['parley/commit/1', ...fields, previous]);
  return digest('sha256', [first, ...leaves].join('\n'), 'base64');
}

/** The input of a new commit. */
export interface Proposal {
  readonly head: Head;
  /** A UUID, new for each commit. */
  readonly id: string;
  /** At least the head's epoch. */
  readonly epoch: number;
  /**
   * Raised to the head's time if earlier. Use `nextRecordedAt` to know the time before encoding the leaves.
   */
  readonly recordedAt: string;
  /** The encoded events; empty in a fencing commit. */
  readonly leaves: readonly string[];
}

/**
 * Builds the commit after `head`, and the head after that commit. Use the new head only once the commit is
 * durable. Throws `CommitTooLarge`, or `BrokenCommit` for a smaller epoch or a leaf that is not one line.
 */
export function buildCommit({ head, id, epoch, recordedAt, leaves }: Proposal): {
  commit: Commit;
  head: Head;
} {
  const { partition } = head;
  const position = head.position + 1;
  if (leaves.length > COMMIT_LIMITS.events) throw new CommitTooLarge('events', leaves.length);
  if (epoch < head.epoch) throw new BrokenCommit(partition, position, 'epoch');
  const leafHashes: Hash[] = [];
  let bytes = 0;
  for (const leaf of leaves) {
    const length = Buffer.byteLength(leaf);
    if (length > COMMIT_LIMITS.leafBytes) throw new CommitTooLarge('leafBytes', length);
    // The hashed bytes must equal the stored bytes: a leaf is one line of valid UTF-8 text.
    if (length === 0 || !leaf.isWellFormed() || leaf.includes('\n'))
      throw new BrokenCommit(partition, position, 'leaves');
    bytes += length;
    leafHashes.push(leafHash(leaf));
  }
  if (bytes > COMMIT_LIMITS.bytes) throw new CommitTooLarge('bytes', bytes);
  const { size, frontier, root } = appendHashes(head.frontier, head.size, leafHashes);
  const unsigned = {
    partition,
    position,
    id,
    epoch,
    recordedAt: recordedAt < head.recordedAt ? head.recordedAt : recordedAt,
    firstOffset: head.size,
    leaves,
    size,
    root,
    ...(leaves.length === 0 || position % FRONTIER_EVERY_COMMITS === 0 ? { frontier } : {}),
  };
  const hash = hashOf(unsigned, head.hash);
  return {
    commit: { ...unsigned, hash },
    head: { partition, position, size, epoch, recordedAt: unsigned.recordedAt, hash, frontier },
  };
}

const sameHashes = (a: readonly Hash[], b: readonly Hash[]): boolean =>
  a.length === b.length && a.every((hash, i) => hash === b[i]);

/** Returns the head after `commit`. Throws `BrokenCommit` if any field does not follow from `head`. */
export const checkCommit = (head: Head, commit: Commit): Head =>
  checkCommitWithTree(head, commit, appendLeaves(head.frontier, head.size, commit.leaves));

/** As `checkCommit`, with the tree already grown by the commit's leaves. */
export function checkCommitWithTree(head: Head, commit: Commit, tree: Tree): Head {
  const { partition, position, epoch, recordedAt, firstOffset, leaves, size, root, hash } = commit;
  const broken = (field: keyof Commit) => new BrokenCommit(head.partition, head.position + 1, field);
  if (partition !== head.partition) throw broken('partition');
  if (position !== head.position + 1) throw broken('position');
  if (epoch < head.epoch) throw broken('epoch');
  if (recordedAt < head.recordedAt) throw broken('recordedAt');
  if (firstOffset !== head.size) throw broken('firstOffset');
  if (size !== firstOffset + leaves.length) throw broken('size');
  if (root !== tree.root) throw broken('root');
  if (commit.frontier && !sameHashes(commit.frontier, tree.frontier)) throw broken('frontier');
  if (hash !== hashOf(commit, head.hash)) throw broken('hash');
  return { partition, position, size, epoch, recordedAt, hash, frontier: tree.frontier };
}

/**
 * Computes a partition's head from its last commits, which must have no gap. Starts at the last commit with a
 * frontier and checks each after it. The commits must include such a commit, or position 1.
 */
export function headFrom(partition: number, commits: readonly Commit[]): Head {
  const from = commits.findLastIndex((commit) => commit.frontier !== undefined);
  const base = commits[from];
  const head = base ? headOf(base) : emptyHead(partition);
  return commits.slice(from + 1).reduce(checkCommit, head);
}

/**
 * Trusts the commit's own fields, except the frontier, which must hash to its root. `verify` checks the rest.
 */
function headOf(commit: Commit): Head {
  const { partition, position, size, epoch, recordedAt, hash, frontier = [] } = commit;
  if (rootOf(frontier) !== commit.root) throw new BrokenCommit(partition, position, 'frontier');
  return { partition, position, size, epoch, recordedAt, hash, frontier };
}

/**
 * Loads the head of a partition at a start or a take-over. Reads at most `FRONTIER_EVERY_COMMITS` commits.
 */
export async function loadHead(log: Pick<EventLog, 'read' | 'tail'>, partition: number): Promise<Head> {
  const end = (await log.tail(partition))?.position ?? 0;
  const commits: Commit[] = [];
  let at = Math.max(0, end - FRONTIER_EVERY_COMMITS);
  while (at < end) {
    const page = await log.read(partition, at, end - at);
    if (page.length === 0) throw new Error(`partition ${partition} ended at position ${at}, before its tail`);
    commits.push(...page);
    at += page.length;
  }
  return headFrom(partition, commits);
}

/**
 * A commit as stored and as sent between threads: the leaves joined into one text. One string copies faster
 * than 256.
 */
export interface PackedCommit extends Omit<Commit, 'leaves'> {
  readonly text: string;
}

/** Joins the leaves with line breaks. No leaf contains one, so `unpack` restores them. */
export function pack({ leaves, ...fields }: Commit): PackedCommit {
  return { ...fields, text: leaves.join('\n') };
}

/** Restores a packed commit, with identical leaves. */
export function unpack({ text, ...fields }: PackedCommit): Commit {
  return { ...fields, leaves: fields.size === fields.firstOffset ? [] : text.split('\n') };
}

/** The limits of one commit, in UTF-8 bytes. A leaf must fit the 16-bit length of an entry bundle. */
export const COMMIT_LIMITS = { events: 256, bytes: 256 * 1024, leafBytes: 65_535 } as const;

/** A commit above `COMMIT_LIMITS`: a defect of the caller. Nothing was built. */
export class CommitTooLarge extends Error {
  override readonly name = 'CommitTooLarge';
  constructor(
    readonly what: keyof typeof COMMIT_LIMITS,
    readonly actual: number,
  ) {
    super(`a commit has ${actual} ${what}; the limit is ${COMMIT_LIMITS[what]}`);
  }
}
