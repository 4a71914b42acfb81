import { LogEndsEarly, type LogSource } from '../../log/checkLog.js';
import { checkCommitWithTree, type Head } from '../../log/commit.js';
import type { Commit, Hash } from '../../log/log.js';
import { appendHashes, leafHash } from '../../log/merkle.js';
import { type Mismatch, MismatchError, toMismatch } from './report.js';

/** Commits of one read. */
const PAGE = 256;

/** The root of a partition at a size, from a head with a valid signature. */
export interface TrustedHead {
  readonly partition: number;
  readonly size: number;
  readonly root: Hash;
  /** The source of the head, in words for the operator. */
  readonly source: string;
}

/** A commit with hashes for later use: of its leaves, and of the tiles that it fills. */
export interface HashedCommit extends Commit {
  readonly leafHashes: readonly Hash[];
  readonly filled: readonly Hash[];
}

/** The end of a check, with the commits it has passed and the first mismatch. */
export interface ChainStep {
  readonly head: Head;
  readonly commits: readonly HashedCommit[];
  readonly mismatch?: Mismatch;
}

/**
 * Recomputes the commits behind `from`, up to position `end`: positions, offsets, epochs, times, the Merkle
 * tree and the chain of hashes. Compares the roots with the trusted heads, which must be of this partition.
 * Keeps all of these commits in memory.
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
          if (head.size < trusted.size && trusted.size <= next.size) compareRoot(trusted, head, commit);
        commits.push(commit);
        head = next;
      }
    }
    return { head, commits };
  } catch (error) {
    return { head, commits, mismatch: toMismatch(error, head.partition, head.position) };
  }
}

/** The mismatch of the first trusted head that is larger than the whole partition. */
export function findMissedHead(trustedHeads: readonly TrustedHead[], head: Head): Mismatch | undefined {
  const { partition, position } = head;
  const missed = trustedHeads.find(({ size }) => size > head.size);
  if (!missed) return undefined;
  const what = `partition ${partition} has ${head.size} events, fewer than ${missed.source}`;
  return { what, partition, position: position + 1, offset: head.size };
}

/** Heads are signed at the end of a commit, but one inside a commit is compared too. */
function compareRoot({ size, root, source }: TrustedHead, head: Head, commit: HashedCommit): void {
  const { partition, position, leafHashes } = commit;
  const tree = appendHashes(head.frontier, head.size, leafHashes.slice(0, size - head.size));
  if (tree.root === root) return;
  const what = `partition ${partition} does not match ${source}: the root is ${tree.root}, not ${root}`;
  throw new MismatchError({ what, partition, position, offset: size - 1 });
}
