import { randomUUID } from 'node:crypto';
import { buildCommit, emptyHead, type Head } from '../../src/log/commit.js';
import type { Commit } from '../../src/log/log.js';

/** Builds a commit after `head`, with a new id each time. */
export function commitAfter(
  head: Head,
  leaves: readonly string[],
  epoch = 1,
): { commit: Commit; head: Head } {
  return buildCommit({ head, id: randomUUID(), epoch, recordedAt: '2026-01-01T00:00:00.000Z', leaves });
}

/** Builds the first commits of a partition, with one event each by default. */
export function chain(
  length: number,
  partition = 0,
  leavesOf = (n: number): string[] => [`{"n":${n}}`],
): Commit[] {
  const commits: Commit[] = [];
  for (let head = emptyHead(partition); commits.length < length; ) {
    const next = commitAfter(head, leavesOf(commits.length + 1));
    commits.push(next.commit);
    head = next.head;
  }
  return commits;
}
