import { ParleyError } from '../../base/errors.js';
import { decodeLeaf, leafTest } from '../../domain/codec.js';
import type { Time } from '../../domain/fields.js';
import type { StreamName } from '../../domain/ids.js';
import { type CommitRange, findLastCommit, type LogSource, readRange } from '../../log/checkLog.js';
import { type Commit, type Place, partitionOf } from '../../log/log.js';
import { indexedCommits } from '../../projections/models/streamIndex.js';
import type { Folded } from '../../projections/projection.js';
import type { Progress } from '../../projections/queryWaits.js';
import type { RowReader } from '../../projections/store/rowStore.js';
import type { AuditedLog } from '../storedRows.js';

/** The events wanted; an absent field matches all. */
export interface EventFilter {
  readonly stream?: StreamName;
  readonly type?: string;
  readonly actor?: string;
  /** ISO 8601 in UTC with milliseconds; inclusive. */
  readonly since?: string;
  /** ISO 8601 in UTC with milliseconds; exclusive. */
  readonly until?: string;
  readonly partition?: number;
}

/** The commits of one partition that may hold events of a filter: `after` exclusive, `upTo` inclusive. */
export interface FilteredRange {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
  /** The approximate number of events in the range. */
  readonly events: number;
}

/**
 * Reads the last commits of the partitions that can hold events of the filter; undefined for an empty
 * partition.
 */
export async function readTails(
  log: AuditedLog,
  { stream, partition }: EventFilter,
): Promise<Map<number, Commit | undefined>> {
  const home = stream === undefined ? partition : partitionOf(stream, log.partitions);
  const all = Array.from({ length: log.partitions }, (_, i) => i);
  const asked = all.filter((one) => (home ?? one) === one && (partition ?? one) === one);
  return new Map(await Promise.all(asked.map(async (one) => [one, await log.tail(one)] as const)));
}

/**
 * Finds the commits that can hold events of the filter, up to these tails. Times of commits never go back.
 */
export async function findRanges(
  log: AuditedLog,
  { since, until }: EventFilter,
  tails: ReadonlyMap<number, Commit | undefined>,
): Promise<FilteredRange[]> {
  const ranges = [...tails.values()].map(async (tail): Promise<FilteredRange[]> => {
    if (!tail) return [];
    const { partition, position, size } = tail;
    const lastBefore = (time: string | undefined) =>
      time === undefined
        ? undefined
        : findLastCommit(log, { partition, after: 0, upTo: position }, ({ recordedAt }) => recordedAt < time);
    const [after = 0, upTo = position] = await Promise.all([lastBefore(since), lastBefore(until)]);
    if (after >= upTo) return [];
    return [{ partition, after, upTo, events: Math.ceil((size * (upTo - after)) / position) }];
  });
  return (await Promise.all(ranges)).flat();
}

/** The log and the index that a stream is found in. */
export interface StreamSource {
  readonly log: LogSource & { readonly partitions: number };
  readonly rows: Pick<RowReader, 'get' | 'range'>;
  /** The tree size up to which the partition is indexed; `size` is enough. */
  readonly indexed: (partition: number, size: number) => number | Promise<number>;
}

/** Creates `StreamSource.indexed` for a running system. It waits for the read model up to 5 s. */
export function indexedSize(progress: Pick<Progress, 'waitFor' | 'folded'>): StreamSource['indexed'] {
  return async (partition, size) => {
    try {
      await progress.waitFor({ partition, size });
      return size;
    } catch (error) {
      // The read models may still be building over an old log, so their current size counts.
      if (error instanceof ParleyError && error.code === 'overloaded') return progress.folded(partition);
      throw error;
    }
  };
}

/**
 * The commits with events of a stream, in order, between two positions. Uses the read model as far as it is
 * folded, and reads the log from there on.
 */
export async function* streamCommits(
  { log, rows, indexed }: StreamSource,
  stream: StreamName,
  { after, upTo }: Omit<CommitRange, 'partition'>,
): AsyncGenerator<Commit> {
  const partition = partitionOf(stream, log.partitions);
  const [last] = await log.read(partition, upTo - 1, 1);
  if (!last) return;
  // Before the rows are read, so that they include everything below `size`.
  const size = await indexed(partition, last.size);
  const isIndexed = (place: Pick<Place, 'size'>): boolean => place.size <= size;
  const from = isIndexed(last) ? upTo : await findLastCommit(log, { partition, after, upTo }, isIndexed);
  yield* indexedCommits(log, rows, { partition, stream, after, upTo: from });
  const isOfStream = leafTest({ stream });
  for await (const commit of readRange(log, { partition, after: from, upTo }))
    if (commit.leaves.some(isOfStream)) yield commit;
}

/** A point in time, or a message of a room; both inclusive. */
export type At = { readonly time: Time } | { readonly seq: number };

/** A stream's events up to `at`, in order; by default all events that exist now. */
export async function* eventsUntil(
  source: StreamSource,
  stream: StreamName,
  at?: At,
): AsyncGenerator<Folded> {
  const { log } = source;
  const partition = partitionOf(stream, log.partitions);
  const upTo = (await log.tail(partition))?.position ?? 0;
  if (upTo === 0) return;
  const isOfStream = leafTest({ stream });
  for await (const commit of streamCommits(source, stream, { after: 0, upTo })) {
    const { position, firstOffset, recordedAt, leaves } = commit;
    if (at && 'time' in at && recordedAt > at.time) return;
    for (const [i, leaf] of leaves.entries()) {
      if (!isOfStream(leaf)) continue;
      const event = Object.assign(decodeLeaf(leaf, partition, firstOffset + i), { leaf, position });
      yield event;
      if (at && 'seq' in at && event.type === 'MessageSent' && event.data.seq === at.seq) return;
    }
  }
}
