import { decodeLeaf, leafTest } from '../../domain/codec.js';
import type { Scene } from '../../domain/defineEvent.js';
import { foldFor, type Recorded, type State } from '../../domain/events.js';
import type { GroupMember } from '../../domain/groups/groupMembers.js';
import { parseStream, type StreamName, type UserId } from '../../domain/ids.js';
import { isGroup } from '../../domain/streams.js';
import { type CommitRange, findLastTrue, type LogSource } from '../../log/checkLog.js';
import type { Commit } from '../../log/log.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../store/rowStore.js';
import { memberIn, membershipIn, membershipsIn } from './membershipRows.js';

/** The state that deciding a command needs; the key is the stream's name. */
export interface StreamStateRow {
  /** The version of the stream's last event. */
  readonly version: number;
  readonly state: State;
}

/** States for deciding commands. The model depends on no other one. */
export const statesModel: Model<StreamStateRow> = { name: 'states', version: 1, indexes: {} };

/** Folds states with the fold of the deciders. */
export const statesProjection: Projection<StreamStateRow> = {
  model: statesModel,
  keys: (event) => [event.stream],
  evolve(value, event) {
    const fold = foldFor(event.stream);
    const state = fold.evolve(value?.state ?? fold.initial, event);
    return { version: event.version, state: fold.stored(state) };
  },
};

/** Loads the states that have rows, by stream, with one query, and one more for each group. */
export async function loadStates(
  rows: Pick<RowReader, 'get' | 'range'>,
  streams: readonly StreamName[],
): Promise<ReadonlyMap<string, StoredState>> {
  const found: ReadonlyMap<string, Row<StreamStateRow>> = await rows.get(statesModel, streams);
  const groups = [...found].filter(([, { value }]) => value && isGroup(value.state));
  if (groups.length === 0) return found;
  const states = new Map<string, StoredState>(found);
  const load = async ([stream, row]: [string, Row<StreamStateRow>]) => {
    const members: StoredMember[] = [];
    // The key is a stream's name.
    for await (const page of membershipsIn(rows, parseStream(stream as StreamName).id))
      for (const { key, offset, value } of page)
        if (value) members.push({ userId: membershipIn(key).userId, offset, member: memberIn(value) });
    states.set(stream, { ...row, members });
  };
  await Promise.all(groups.map(load));
  return states;
}

/** A stream's row as a writer reads it. `offset` is that of the last event folded into it. */
export interface StoredState {
  readonly offset: number;
  /** `version` is the stream's last one. `null` would be a tombstone, which no stream has. */
  readonly value: { readonly version: number; readonly state: State } | null;
  /** Of a group. Each row is as of an offset of its own. */
  readonly members?: readonly StoredMember[];
}

/** Somebody who is or was a member of a group, after the event at `offset`. */
export interface StoredMember {
  readonly userId: UserId;
  readonly offset: number;
  readonly member: GroupMember;
}

/**
 * The positions of the commits that hold one chunk of a stream's events: the last one, then the gap from 0 to the
 * first one, and from each to the next. A gap is shorter than a position.
 */
export type StreamRow = readonly number[];

/** The positions of a chunk, ascending, each once. */
function positionsIn(row: StreamRow): number[] {
  let position = 0;
  return row.slice(1).map((gap) => {
    position += gap;
    return position;
  });
}

/** Events of a stream in one row. */
const CHUNK_EVENTS = 256;

/** The key of a chunk, counted from 0. Keys of one stream sort by chunk. */
function chunkKey(stream: StreamName, chunk: number): string {
  const digits = chunk.toString(36);
  // The number of digits in front makes keys sort like numbers.
  return `${stream}#${digits.length.toString(36)}${digits}`;
}

/** Finds a stream in the log, which is ordered by time alone. */
export const streamsModel: Model<StreamRow> = { name: 'streams', version: 1, indexes: {} };

/** Folds the index of streams; an event's version gives its chunk. */
export const streamsProjection: Projection<StreamRow> = {
  model: streamsModel,
  keys: ({ stream, version }) => [chunkKey(stream, Math.floor((version - 1) / CHUNK_EVENTS))],
  evolve(value, { position }) {
    if (!value) return [position, position];
    const last = value[0] ?? 0;
    if (last === position) return value;
    const next = value.with(0, position);
    next.push(position - last);
    return next;
  },
};

type StreamRows = Pick<RowReader, 'get' | 'range'>;

/** Rows that one step of the search reads. */
const SEARCH_WIDTH = 15;
/** Commits of the first read by index. Each following read doubles, up to `MAX_COMMITS`. */
const FIRST_COMMITS = 4;
const MAX_COMMITS = 32;

/** An event of a stream, and the position of its commit. */
export interface PlacedEvent {
  readonly event: Recorded;
  readonly position: number;
}

/** A stream, and the positions between which its commits are read: `after` exclusive, `upTo` inclusive. */
interface StreamRange extends Omit<CommitRange, 'upTo'> {
  readonly stream: StreamName;
  /** By default the last indexed position. */
  readonly upTo?: number;
}

/** The indexed events of a stream, in order. */
export async function* indexedEvents(
  log: Pick<LogSource, 'read'>,
  rows: StreamRows,
  range: StreamRange,
): AsyncGenerator<PlacedEvent> {
  const { partition, stream } = range;
  const isOfStream = leafTest({ stream });
  for await (const { position, firstOffset, leaves } of indexedCommits(log, rows, range))
    for (const [i, leaf] of leaves.entries())
      if (isOfStream(leaf)) yield { event: decodeLeaf(leaf, partition, firstOffset + i), position };
}

/** The indexed commits with events of a stream, in order, each once. */
export async function* indexedCommits(
  log: Pick<LogSource, 'read'>,
  rows: StreamRows,
  { partition, stream, after, upTo = Number.POSITIVE_INFINITY }: StreamRange,
): AsyncGenerator<Commit> {
  let [reached, batch] = [after, FIRST_COMMITS];
  for await (const positions of positionsOf(rows, stream, after)) {
    // Two rows can list the same commit. Skip the second.
    const wanted = positions.filter((position) => position > reached && position <= upTo);
    for (let at = 0; at < wanted.length; ) {
      const some = wanted.slice(at, at + batch);
      yield* await readAll(log, partition, some);
      at += some.length;
      batch = Math.min(MAX_COMMITS, 2 * batch);
    }
    reached = positions.at(-1) ?? reached;
    if (reached >= upTo) return;
  }
}

/** The same commits as those of `indexedCommits`, the last one first. */
export async function* indexedCommitsBackward(
  log: Pick<LogSource, 'read'>,
  rows: StreamRows,
  { partition, stream, after, upTo = Number.POSITIVE_INFINITY }: StreamRange,
): AsyncGenerator<Commit> {
  let [reached, batch] = [upTo + 1, FIRST_COMMITS];
  const search = { low: -1, high: await newestOf(rows, stream), width: SEARCH_WIDTH };
  const last = await findLastTrue(search, async (chunks) =>
    (await chunksOf(rows, stream, chunks)).map((positions) => (positions?.[0] ?? 0) <= upTo),
  );
  // Chunks have no gap.
  for (let chunk = last; chunk >= 0 && reached > after; chunk--) {
    const [positions = []] = await chunksOf(rows, stream, [chunk]);
    // Two rows can list the same commit. Skip the second.
    const wanted = positions.filter((position) => position > after && position < reached);
    for (let to = wanted.length; to > 0; ) {
      const from = Math.max(0, to - batch);
      yield* (await readAll(log, partition, wanted.slice(from, to))).reverse();
      [to, batch] = [from, Math.min(MAX_COMMITS, 2 * batch)];
    }
    reached = positions[0] ?? reached;
  }
}

/** Reads the commits at these positions; neighbouring ones take one read. */
async function readAll(
  log: Pick<LogSource, 'read'>,
  partition: number,
  positions: readonly number[],
): Promise<Commit[]> {
  const runs: CommitRange[] = [];
  for (const position of positions) {
    const run = runs.at(-1);
    if (run?.upTo === position - 1) runs[runs.length - 1] = { ...run, upTo: position };
    else runs.push({ partition, after: position - 1, upTo: position });
  }
  return (await Promise.all(runs.map((run) => readRun(log, run)))).flat();
}

async function readRun(
  log: Pick<LogSource, 'read'>,
  { partition, after, upTo }: CommitRange,
): Promise<Commit[]> {
  const commits: Commit[] = [];
  for (let position = after; position < upTo; ) {
    const page = await log.read(partition, position, upTo - position);
    const last = page.at(-1);
    if (!last) break;
    commits.push(...page);
    position = last.position;
  }
  return commits;
}

/**
 * The stream's positions, a row at a time. Begins with the row that holds the first position behind `after`.
 */
async function* positionsOf(
  rows: StreamRows,
  stream: StreamName,
  after: number,
): AsyncGenerator<readonly number[]> {
  let before = -1;
  if (after > 0) {
    const search = { low: -1, high: await newestOf(rows, stream), width: SEARCH_WIDTH };
    before = await findLastTrue(search, async (chunks) =>
      (await chunksOf(rows, stream, chunks)).map((positions) => (positions?.at(-1) ?? 0) <= after),
    );
  }
  // Chunks have no gap.
  for (let chunk = before + 1; ; chunk++) {
    const [positions] = await chunksOf(rows, stream, [chunk]);
    if (!positions) return;
    yield positions;
  }
}

/** The positions of these chunks of a stream; undefined for one that does not exist. */
async function chunksOf(
  rows: StreamRows,
  stream: StreamName,
  chunks: readonly number[],
): Promise<(readonly number[] | undefined)[]> {
  const keys = chunks.map((chunk) => chunkKey(stream, chunk));
  const found = await rows.get(streamsModel, keys);
  return keys.map((key) => {
    const row = found.get(key)?.value;
    return row ? positionsIn(row) : undefined;
  });
}

/** The number of the stream's newest chunk; -1 if there is none. */
async function newestOf(rows: StreamRows, stream: StreamName): Promise<number> {
  const [newest] = await rows.range(streamsModel, {
    after: `${stream}#`,
    // The character behind `#`.
    before: `${stream}$`,
    reverse: true,
    limit: 1,
  });
  return newest ? Number.parseInt(newest.key.slice(stream.length + 2), 36) : -1;
}

/** A stream of a user that has changed since an offset. Replays visit the streams in the order of `key`. */
export interface ChangedStream {
  /** `room:<id>` or the user's own `user:<id>`. A replay's cursor names the stream that it visited last. */
  readonly key: string;
}

/** Offsets of a partition: `above` exclusive, `upTo` inclusive. */
export interface OffsetRange {
  /** Above which the whole replay began. A message from behind it is sent as it is now, and its changes are not. */
  readonly since: number;
  readonly above: number;
  readonly upTo: number;
}

/** An event that a user has missed, and what its push needs beside it. */
export interface MissedEvent {
  readonly event: Recorded;
  readonly scene: Scene;
}

/** A page of the events of a stream that a user has missed. */
export interface MissedEvents {
  readonly events: readonly MissedEvent[];
  readonly hasMore: boolean;
}
