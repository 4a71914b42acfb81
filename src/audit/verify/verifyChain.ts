import { LogEndsEarly, type LogSource } from '../../log/checkLog.js';
import { checkCommitWithTree, type Head } from '../../log/commit.js';
import type { Commit, Hash } from '../../log/log.js';
import { appendHashes, leafHash } from '../../log/merkle.js';
import { type Mismatch, MismatchError, toMismatch } from './report.js';

/** Commits are read so many at once. */
const PAGE = 256;

/** The root that a partition had at a size, by somebody's signature. */
export interface TrustedHead {
  readonly partition: number;
  readonly size: number;
  readonly root: Hash;
  /** Whose word it is, as the operator knows it. */
  readonly source: string;
}

/** A commit with hashes that are used again: of its leaves, and of the tiles that it fills. */
export interface HashedCommit extends Commit {
  readonly leafHashes: readonly Hash[];
  readonly filled: readonly Hash[];
}

/** How far a check has come, through which commits, and what it ran into. */
export interface ChainStep {
  readonly head: Head;
  readonly commits: readonly HashedCommit[];
  readonly mismatch?: Mismatch;
}

/**
 * Computes anew the commits behind `from`, up to position `end`: positions, offsets, epochs, times, the Merkle tree and
 * the hashes, each made of the one before, and the roots at the sizes of the witnesses, which are of this partition. All
 * of these commits are in memory then.
 */
export async function checkChain(
  log: Pick<LogSource, 'read'>,
  from: Head,
  end: number,
  trustedHeads: readonly TrustedHead[],
): Promise<ChainStep> {
  let head = from;
  const commits: HashedCommit[] = [];
  try {
    while (head.position < end) {
      const page = await log.read(head.partition, head.position, Math.min(PAGE, end - head.position));
      if (page.length === 0) throw new LogEndsEarly(head.partition, head.position);
      for (const read of page) {
        const leafHashes = read.leaves.map(leafHash);
        const tree = appendHashes(head.frontier, head.size, leafHashes);
        const next = checkCommitWithTree(head, read, tree);
        const commit = { ...read, leafHashes, filled: tree.filled };
        for (const trusted of trustedHeads)
          if (head.size < trusted.size && trusted.size <= next.size) compare(trusted, head, commit);
        commits.push(commit);
        head = next;
      }
    }
    return { head, commits };
  } catch (error) {
    return { head, commits, mismatch: toMismatch(error, head.partition, head.position) };
  }
}

/** The first witness to a longer log than this, which has been read to its end. */
export function firstMissed(trustedHeads: readonly TrustedHead[], head: Head): Mismatch | undefined {
  const { partition, position } = head;
  const missed = trustedHeads.find(({ size }) => size > head.size);
  if (!missed) return undefined;
  const what = `partition ${partition} ends after ${head.size} events: by ${missed.source} it had ${missed.size}`;
  return { what, partition, position: position + 1, offset: head.size };
}

/** A head is signed at the end of a commit; whoever signs inside of one is taken at their word. */
function compare({ size, root, source }: TrustedHead, head: Head, commit: HashedCommit): void {
  const { partition, position, leafHashes } = commit;
  const tree = appendHashes(head.frontier, head.size, leafHashes.slice(0, size - head.size));
  if (tree.root === root) return;
  const what = `partition ${partition} is not what ${source} says: of its first ${size} events the root is ${tree.root}, not ${root}`;
  throw new MismatchError({ what, partition, position, offset: size - 1 });
}
