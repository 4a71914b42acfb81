import { checkCommit, emptyHead, type Head } from './commit.js';
import type { Commit, Place } from './log.js';

/** Commits per read. */
const PAGE_COMMITS = 256;

/** The reads that checking or searching a log needs. A synchronous reader fits too. */
export interface LogSource {
  /** See `EventLog.read`. */
  read(partition: number, after: number, limit: number): Commit[] | Promise<Commit[]>;
  /** See `EventLog.places`. */
  places(partition: number, positions: readonly number[]): Place[] | Promise<Place[]>;
  /** See `EventLog.tail`. */
  tail(partition: number): Commit | undefined | Promise<Commit | undefined>;
}

/** The log ends before the commit that was its last a moment ago. */
export class LogEndsEarly extends Error {
  override readonly name = 'LogEndsEarly';
  constructor(
    readonly partition: number,
    readonly position: number,
  ) {
    super(
      `partition ${partition} ends at position ${position}, before the last commit it reported; read it again`,
    );
  }
}

/**
 * Checks a partition from its first commit to its present last one, and returns the head there. Recomputes
 * positions, offsets, epochs, times, the Merkle tree and the hash chain. Throws `BrokenCommit`, `HoleError`
 * or `LogEndsEarly` at the first wrong commit. It cannot detect commits missing at the end: compare the size
 * and hash with an earlier record.
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

/** The size of the first read. Each following read is `PAGE_GROWTH` times as large. */
const FIRST_PAGE_COMMITS = 8;
const PAGE_GROWTH = 4;
/** The limits of one read, in events and commits. A commit costs as much to read as a few events. */
const MAX_PAGE_EVENTS = 1024;
const MAX_PAGE_COMMITS = 256;
/** Places looked up together. */
const PROBES = 15;

/** Yields the commits of a range, in order. Longer ranges are read in larger pages. */
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
    size = nextPageSize(size, commits);
  }
}

/** Yields the same commits as `readRange`, the last one first. Holds one read at a time in memory. */
export async function* readRangeBackward(
  log: Pick<LogSource, 'read'>,
  { partition, after, upTo }: CommitRange,
): AsyncGenerator<Commit> {
  for (let [to, size] = [upTo, FIRST_PAGE_COMMITS]; to > after; ) {
    const from = Math.max(after, to - size);
    const commits = await log.read(partition, from, to - from);
    if (commits.length === 0) return;
    if (commits.length < to - from) {
      // The read was cut at its largest size, before `to`. A smaller one is not.
      size = Math.max(1, Math.floor(commits.length / 2));
      continue;
    }
    yield* commits.toReversed();
    to = from;
    size = nextPageSize(size, commits);
  }
}

/** The size of the read behind a read of these commits. */
function nextPageSize(size: number, commits: readonly Commit[]): number {
  const events = commits.reduce((sum, { leaves }) => sum + leaves.length, 0);
  const most = Math.ceil((MAX_PAGE_EVENTS * commits.length) / Math.max(events, commits.length));
  return Math.min(size * PAGE_GROWTH, most, MAX_PAGE_COMMITS);
}

/**
 * Returns the position of the last commit that satisfies `isBefore`, or 0. Later commits must all fail it.
 */
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

/**
 * The range of a search, and its number of look-ups per round. A round costs little more than one look-up.
 */
export interface SearchRange {
  /** Assumed to satisfy the condition, and not looked up. */
  readonly low: number;
  /** The last place that exists. */
  readonly high: number;
  readonly width: number;
}

/**
 * Returns the last place that satisfies the condition of `probe`; later places must all fail it. `probe` gets
 * ascending places. It is called about log(high - low) / log(width + 1) times.
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
