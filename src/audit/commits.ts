import type { CheckedLog } from '../log/check.js';
import type { Commit, Place } from '../log/log.js';
import { lastTrue } from './search.js';

/** Commits of one partition: `after` exclusive, `upTo` inclusive. */
export interface Between {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
}

/** Commits of the first read; each next one is of so many times as many. */
const FIRST = 8;
const GROWTH = 4;
/** Events that are read at once, about; and commits, at most: each costs as much as a few events. */
const EVENTS = 1024;
const MOST = 256;
/** Places that are looked at together. */
const LOOKS = 15;

/** The commits there are between two positions, in order; the more of them are asked for, the more are read at once. */
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
    const most = Math.ceil((EVENTS * commits.length) / Math.max(events, commits.length));
    size = Math.min(size * GROWTH, most, MOST);
  }
}

/** The last commit of a partition of which this is true; 0: of none. Once it is false, it stays so. */
export async function lastOf(
  log: Pick<CheckedLog, 'places'>,
  { partition, after, upTo }: Between,
  isBefore: (place: Place) => boolean,
): Promise<number> {
  return lastTrue({ low: after, high: upTo, width: LOOKS }, async (positions) => {
    const places = await log.places(partition, positions);
    const before = new Set(places.filter(isBefore).map(({ position }) => position));
    return positions.map((position) => before.has(position));
  });
}
