import { FRONTIER_EVERY, type Head, headFrom } from './commit.js';
import type { Commit, EventLog } from './log.js';

/** The head of a partition as the log has it now, from its last 64 commits at most: for a start or a take-over. */
export async function loadHead(log: Pick<EventLog, 'read' | 'tail'>, partition: number): Promise<Head> {
  const end = (await log.tail(partition))?.position ?? 0;
  const commits: Commit[] = [];
  let at = Math.max(0, end - FRONTIER_EVERY);
  while (at < end) {
    const page = await log.read(partition, at, end - at);
    if (page.length === 0) throw new Error(`partition ${partition} ended at position ${at}, before its tail`);
    commits.push(...page);
    at += page.length;
  }
  return headFrom(partition, commits);
}
