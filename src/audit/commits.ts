import type { CheckedLog } from '../log/check.js';
import type { Commit } from '../log/log.js';

/** Commits of one partition: `after` exclusive, `upTo` inclusive. */
export interface Between {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
}

/** Events that are read at once, about; and commits, at most. */
const EVENTS = 256;
const MOST = 256;
const FIRST = 8;

/** The commits there are between two positions, in order; little more is held than is asked for. */
export async function* commitsBetween(
  log: Pick<CheckedLog, 'read'>,
  { partition, after, upTo }: Between,
): AsyncGenerator<Commit> {
  for (let [from, size] = [after, FIRST]; from < upTo; ) {
    const commits = await log.read(partition, from, Math.min(size, upTo - from));
    yield* commits;
    const last = commits.at(-1);
    if (!last) return;
    from = last.position;
    const events = commits.reduce((sum, { leaves }) => sum + leaves.length, 0);
    size = Math.max(1, Math.min(MOST, Math.ceil((EVENTS * commits.length) / Math.max(1, events))));
  }
}

/** The last commit of a partition of which this is true; 0: of none. Once it is false, it stays so. */
export async function lastOf(
  log: Pick<CheckedLog, 'read'>,
  { partition, after, upTo }: Between,
  isBefore: (commit: Commit) => boolean,
): Promise<number> {
  let [low, high] = [after, upTo];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const [commit] = await log.read(partition, middle - 1, 1);
    if (commit && isBefore(commit)) low = middle;
    else high = middle - 1;
  }
  return low;
}
