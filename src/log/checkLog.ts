import { checkCommit, emptyHead, type Head } from './commit.js';
import type { Commit, Place } from './log.js';

/** Commits are read so many at once. */
const PAGE_COMMITS = 256;

/** What is needed of a log to check it, or to look for something in it; a reader that answers at once will do. */
export interface LogSource {
  /** As `EventLog.read`. */
  read(partition: number, after: number, limit: number): Commit[] | Promise<Commit[]>;
  /** As `EventLog.places`. */
  places(partition: number, positions: readonly number[]): Place[] | Promise<Place[]>;
  /** As `EventLog.tail`. */
  tail(partition: number): Commit | undefined | Promise<Commit | undefined>;
}

/** The log ends before the commit that it called its last. */
export class LogEndsEarly extends Error {
  override readonly name = 'LogEndsEarly';
  constructor(
    readonly partition: number,
    readonly position: number,
  ) {
    super(`partition ${partition} could not be read past position ${position}`);
  }
}

/**
 * Reads a partition from its first commit to the one that is its last now, and computes all anew: positions,
 * offsets, epochs, times, the Merkle tree and the hashes, each made of the one before. Answers the head it ends
 * with. Throws `BrokenCommit`, `HoleError` or `LogEndsEarly` at the first commit that is wrong. That commits are
 * missing at the end it cannot see: compare the size and the hash with ones written down before.
 */
export async function checkPartitionChain(
  log: Pick<LogSource, 'read' | 'tail'>,
  partition: number,
): Promise<Head> {
  const end = (await log.tail(partition))?.position ?? 0;
  let head = emptyHead(partition);
  while (head.position < end) {
    const page = await log.read(partition, head.position, Math.min(PAGE_COMMITS, end - head.position));
    if (page.length === 0) throw new LogEndsEarly(partition, head.position);
    head = page.reduce(checkCommit, head);
  }
  return head;
}

/** Commits of one partition: `after` exclusive, `upTo` inclusive. */
export interface CommitRange {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
}

/** Commits of the first read; each next one is of so many times as many. */
const FIRST_PAGE_COMMITS = 8;
const PAGE_GROWTH = 4;
/** Events that are read at once, about; and commits, at most: each costs as much as a few events. */
const MAX_PAGE_EVENTS = 1024;
const MAX_PAGE_COMMITS = 256;
/** Places that are looked at together. */
const PROBES = 15;

/** The commits there are between two positions, in order; the more of them are asked for, the more are read at once. */
export async function* readRange(
  log: Pick<LogSource, 'read'>,
  { partition, after, upTo }: CommitRange,
): AsyncGenerator<Commit> {
  for (let [from, size] = [after, FIRST_PAGE_COMMITS]; from < upTo; ) {
    const commits = await log.read(partition, from, Math.min(size, upTo - from));
    yield* commits;
    const last = commits.at(-1);
    if (!last) return;
    from = last.position;
    const events = commits.reduce((sum, { leaves }) => sum + leaves.length, 0);
    const most = Math.ceil((MAX_PAGE_EVENTS * commits.length) / Math.max(events, commits.length));
    size = Math.min(size * PAGE_GROWTH, most, MAX_PAGE_COMMITS);
  }
}

/** The last commit of a partition of which this is true; 0: of none. Once it is false, it stays so. */
export async function findLastCommit(
  log: Pick<LogSource, 'places'>,
  { partition, after, upTo }: CommitRange,
  isBefore: (place: Place) => boolean,
): Promise<number> {
  return findLastTrue({ low: after, high: upTo, width: PROBES }, async (positions) => {
    const places = await log.places(partition, positions);
    const before = new Set(places.filter(isBefore).map(({ position }) => position));
    return positions.map((position) => before.has(position));
  });
}

/** Where to search, and how many places to look at in one go: what is asked for together costs little more than one. */
export interface SearchRange {
  /** Taken to be true; not looked at. */
  readonly low: number;
  /** The last place there is. */
  readonly high: number;
  readonly width: number;
}

/**
 * The last place of which something is true: once it is false, it stays so. `look` answers for places that ascend;
 * there are about log(high - low) / log(width + 1) calls of it.
 */
export async function findLastTrue(
  search: SearchRange,
  probe: (places: readonly number[]) => Promise<readonly boolean[]>,
): Promise<number> {
  let { low, high } = search;
  while (low < high) {
    const span = high - low;
    const count = Math.min(search.width, span);
    const from = low;
    const places = Array.from({ length: count }, (_, i) => from + Math.ceil(((i + 1) * span) / (count + 1)));
    const answers = await probe(places);
    const firstFalse = answers.indexOf(false);
    const [below, above] = firstFalse === -1 ? [count, undefined] : [firstFalse, places[firstFalse]];
    low = places[below - 1] ?? low;
    high = above === undefined ? high : above - 1;
  }
  return low;
}
