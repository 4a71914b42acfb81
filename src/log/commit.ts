import { hash as digest } from 'node:crypto';
import { type Commit, checkCommitSize, type EventLog, type Hash } from './log.js';
import { appendLeaves, rootOf, type Tree } from './merkle.js';

/** All that must be known of a partition to write its next commit. Pure data; may cross threads. */
export interface Head {
  readonly partition: number;
  /** Of the last commit; 0 in an empty partition. */
  readonly position: number;
  /** How many leaves there are: the next event's offset. */
  readonly size: number;
  readonly epoch: number;
  /** The last commit's time; empty before the first. */
  readonly recordedAt: string;
  /** The last commit's hash; before the first, that of nothing. */
  readonly hash: Hash;
  readonly frontier: readonly Hash[];
}

/** Every such position carries the frontier, so that a take-over reads this many commits at most. */
export const FRONTIER_EVERY_COMMITS = 64;

/** A commit that does not follow the one before it: `field` is the first that is wrong. */
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

/** A partition before its first commit. */
export const emptyHead = (partition: number): Head => ({
  partition,
  position: 0,
  size: 0,
  epoch: 0,
  recordedAt: '',
  hash: digest('sha256', '', 'base64'),
  frontier: [],
});

/** The time a commit after `head` has when the clock says `now` (milliseconds): times never go back. */
export function nextRecordedAt(head: Head, now: number): string {
  return clampTime(head, new Date(now).toISOString());
}

function clampTime(head: Head, time: string): string {
  if (time < head.recordedAt) return head.recordedAt;
  return time;
}

/**
 * A commit's hash: SHA-256 of a UTF-8 text of lines joined by "\n". The first is a JSON array without white
 * space: "parley/commit/1", partition, position, id, epoch, recordedAt, firstOffset, size, root, frontier (an
 * array of base64, or null) and the previous commit's hash; then a line for each leaf, none of which has
 * a line break. It can never change: every hash after the first is made of the one before.
 */
function hashOf(commit: Omit<Commit, 'hash'>, previous: Hash): Hash {
  const { partition, position, id, epoch, recordedAt, firstOffset, size, root, frontier, leaves } = commit;
  const fields = [partition, position, id, epoch, recordedAt, firstOffset, size, root, frontier ?? null];
  const first = JSON.stringify(['parley/commit/1', ...fields, previous]);
  return digest('sha256', [first, ...leaves].join('\n'), 'base64');
}

/** Bytes that are hashed must be the bytes that are stored: one line of text that UTF-8 can say. */
const isLeaf = (leaf: string): boolean => leaf.length > 0 && !/[\n\p{Surrogate}]/u.test(leaf);

/** What a writer brings to a commit. */
export interface Proposal {
  readonly head: Head;
  /** A UUID, new for each commit. */
  readonly id: string;
  /** At least the head's. */
  readonly epoch: number;
  /** Taken as the head's if it is before that; `timeAfter` says so beforehand, for the leaves. */
  readonly recordedAt: string;
  /** The events' text; none in a fencing commit. */
  readonly leaves: readonly string[];
}

/**
 * The commit that follows `head`, and the head after it; the head is the new one only once the commit is
 * durable. Throws `CommitTooLarge`, or `BrokenCommit` for a smaller epoch or a leaf that is not one line.
 */
export function buildCommit({ head, id, epoch, recordedAt, leaves }: Proposal): {
  commit: Commit;
  head: Head;
} {
  const { partition } = head;
  const position = head.position + 1;
  checkCommitSize(leaves);
  if (epoch < head.epoch) throw new BrokenCommit(partition, position, 'epoch');
  if (!leaves.every(isLeaf)) throw new BrokenCommit(partition, position, 'leaves');
  const { size, frontier, root } = appendLeaves(head.frontier, head.size, leaves);
  const unsigned = {
    partition,
    position,
    id,
    epoch,
    recordedAt: clampTime(head, recordedAt),
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

/** The head after `commit`, if it follows `head` in everything; else throws `BrokenCommit`. */
export const checkCommit = (head: Head, commit: Commit): Head =>
  checkCommitWithTree(head, commit, appendLeaves(head.frontier, head.size, commit.leaves));

/** The same; `tree` is the one that its leaves make of the head's. */
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
 * The head of a partition whose last commits, without a gap, are these: of the last that carries a frontier,
 * and of those after it, each checked. They must reach back to such a one, or to position 1.
 */
export function headFrom(partition: number, commits: readonly Commit[]): Head {
  const from = commits.findLastIndex((commit) => commit.frontier !== undefined);
  const base = commits[from];
  const head = base ? headOf(base) : emptyHead(partition);
  return commits.slice(from + 1).reduce(checkCommit, head);
}

/** What it says of itself is taken as it is, but its frontier must give its root: `verify` checks the rest. */
function headOf(commit: Commit): Head {
  const { partition, position, size, epoch, recordedAt, hash, frontier = [] } = commit;
  if (rootOf(frontier) !== commit.root) throw new BrokenCommit(partition, position, 'frontier');
  return { partition, position, size, epoch, recordedAt, hash, frontier };
}

/** The head of a partition as the log has it now, from its last 64 commits at most: for a start or a take-over. */
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

/** A commit as it is stored and crosses threads: its leaves as one text, a line each. One value copies faster than 256. */
export interface PackedCommit extends Omit<Commit, 'leaves'> {
  readonly text: string;
}

/** Leaves have no line break, so this loses nothing. */
export function pack({ leaves, ...fields }: Commit): PackedCommit {
  return { ...fields, text: leaves.join('\n') };
}

/** The commit that was packed, its leaves the very same. */
export function unpack({ text, ...fields }: PackedCommit): Commit {
  return { ...fields, leaves: fields.size === fields.firstOffset ? [] : text.split('\n') };
}
