import { z } from 'zod';
import { ParleyError, wrongFields } from '../../base/errors.js';
import { decodeLeaf, leafTest, typeOfLeaf } from '../../domain/codec.js';
import { TOPICS } from '../../domain/defineEvent.js';
import { type EventType, eventTypes, type Recorded } from '../../domain/events.js';
import { declaredEvents, eventTopics } from '../../domain/features.js';
import { Time } from '../../domain/fields.js';
import type { StreamName } from '../../domain/ids.js';
import {
  type CommitRange,
  findLastCommit,
  type LogSource,
  readRange,
  readRangeBackward,
} from '../../log/checkLog.js';
import { type Commit, type Place, partitionOf } from '../../log/log.js';
import { indexedCommits, indexedCommitsBackward } from '../../projections/models/streamIndex.js';
import type { Folded } from '../../projections/projection.js';
import type { Progress } from '../../projections/queryWaits.js';
import type { RowReader } from '../../projections/store/rowStore.js';
import type { AuditedLog } from '../storedRows.js';

const UUID = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
const KINDS = [...new Set(declaredEvents.map(({ stream }) => stream.kind))];
// Patterns of JSON Schema have no flag for any case.
const anyCase = (text: string): string =>
  text.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);
const STREAM = `^(${KINDS.map(anyCase).join('|')}):${UUID}$`;
const ACTOR = `^(${anyCase('system')}|${UUID})$`;
/** Its decimals, beside the format `date-time`. */
const TIME = '^[^.]*(\\.\\d{1,9}[^.\\d].*)?$';
const TYPE = `(?:${eventTypes.join('|')})`;
/** The largest time that is written like the times of events, which are compared as texts. */
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * A time of an auditor, with up to nine decimals of a second. Events have milliseconds, so the time is rounded to one
 * that compares with them like the exact time. `up` is for `>=` and `<`, `down` for `<=`.
 */
const timeRounded = (direction: 'up' | 'down') =>
  z.iso
    .datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' })
    .regex(new RegExp(TIME), 'must have at most nine decimals of a second')
    .transform((text) => {
      const [, decimals = ''] = /\.(\d+)/.exec(text) ?? [];
      const hasMore = direction === 'up' && /[1-9]/.test(decimals.slice(3));
      // `Date.parse` ignores all but three decimals.
      return new Date(Math.min(Date.parse(text) + (hasMore ? 1 : 0), LAST_MS)).toISOString();
    })
    .pipe(Time.meta({ pattern: TIME, description: 'ISO 8601, with at most nine decimals of a second.' }));

/** A point in time that includes the events of that time. */
export const PointInTime = timeRounded('down');

/** The time from which events are wanted. */
export const SinceTime = timeRounded('up');

/** Types of events, separated by commas. */
export const TypeList = z
  .string()
  .regex(new RegExp(`^${TYPE}(?:,${TYPE})*$`), 'must be types of events, separated by commas');

/**
 * The fields of a filter: the only list of them. Parameters, options of the command line, documents and the identity of
 * a query are derived from it. Each message begins with `must`. A value that no event can have is refused.
 */
export const filterFields = {
  stream: z
    .string()
    .regex(new RegExp(STREAM), `must be ${KINDS.map((kind) => `${kind}:`).join(' or ')} and an id`)
    .transform((text) => text.toLowerCase())
    .pipe(z.templateLiteral([z.enum(KINDS), ':', z.string()]))
    .exactOptional()
    .meta({ pattern: STREAM, description: 'Only events of this stream, such as `room:<roomId>`.' }),
  type: z
    .enum(eventTypes, 'must be a type of event, such as MessageSent')
    .exactOptional()
    .meta({ description: 'Only events of this type, such as `MessageSent`.' }),
  topic: z
    .enum(TOPICS, `must be ${TOPICS.join(' or ')}`)
    .exactOptional()
    .meta({ description: 'Only events about this. Each type of event has one topic.' }),
  except: TypeList.exactOptional().meta({
    description: 'All but events of these types, separated by commas, such as `AuditRead`.',
  }),
  actor: z
    .string()
    .regex(new RegExp(ACTOR), 'must be the id of a user, or system')
    .transform((text) => text.toLowerCase())
    .pipe(z.string())
    .exactOptional()
    .meta({ pattern: ACTOR, description: 'Only events that this user caused, by id, or `system`.' }),
  since: timeRounded('up')
    .exactOptional()
    .meta({ description: 'Only events from this time on (ISO 8601, up to nine decimals of a second).' }),
  until: timeRounded('up').exactOptional().meta({ description: 'Only events before this time.' }),
  partition: z
    .string()
    .regex(/^(0|[1-9]\d{0,5})$/, 'must be the number of a partition')
    .transform(Number)
    .pipe(z.int().min(0).max(999_999))
    .exactOptional()
    .meta({ description: 'Only events of this partition of the log, counted from 0.' }),
};

export type FilterName = keyof typeof filterFields;

/** Typed by the object whose keys they are. */
export const filterNames = Object.keys(filterFields) as readonly FilterName[];

type FilterValues = { [N in FilterName]: Exclude<z.output<(typeof filterFields)[N]>, undefined> };

/** The events wanted. An absent field matches all. Times are ISO 8601 in UTC with milliseconds. */
export type EventFilter = Readonly<Partial<FilterValues>>;

const matchers: { readonly [N in FilterName]: (event: Recorded, wanted: FilterValues[N]) => boolean } = {
  stream: (event, stream) => event.stream === stream,
  type: (event, type) => event.type === type,
  topic: (event, topic) => eventTopics.get(event.type) === topic,
  except: (event, except) => !except.split(',').includes(event.type),
  actor: (event, actor) => event.actor === actor,
  since: (event, since) => event.recordedAt >= since,
  until: (event, until) => event.recordedAt < until,
  partition: (event, partition) => event.partition === partition,
};

function matchesField<N extends FilterName>(name: N, filter: EventFilter, event: Recorded): boolean {
  const wanted: FilterValues[N] | undefined = filter[name];
  return wanted === undefined || matchers[name](event, wanted);
}

/** Whether the event matches each field of the filter. */
export const matchesFilter = (filter: EventFilter, event: Recorded): boolean =>
  filterNames.every((name) => matchesField(name, filter, event));

/** A test of a leaf's text, without parsing, for the fields of a filter that an event itself has; not for its time. */
export function filterTest(filter: EventFilter): (leaf: string) => boolean {
  const { topic, except } = filter;
  const isWanted = leafTest(filter);
  if (topic === undefined && except === undefined) return isWanted;
  const excluded = new Set(except?.split(','));
  const wanted = new Set<EventType | undefined>(
    eventTypes.filter(
      (type) => !excluded.has(type) && (topic === undefined || eventTopics.get(type) === topic),
    ),
  );
  return (leaf) => wanted.has(typeOfLeaf(leaf)) && isWanted(leaf);
}

/** The order of time: the oldest event first, or the newest. */
export type Order = 'asc' | 'desc';

/** A filter, and the order in which its events come. */
export interface EventSearch {
  readonly filter: EventFilter;
  readonly order: Order;
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
 * partition. Throws `bad_request` for a partition that the log does not have.
 */
export async function readTails(
  log: AuditedLog,
  { stream, partition }: EventFilter,
): Promise<Map<number, Commit | undefined>> {
  if (partition !== undefined && partition >= log.partitions)
    throw wrongFields([{ path: 'partition', message: `must be below ${log.partitions}` }]);
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
 * The commits with events of a stream between two positions, in order or the last one first. Uses the read model as
 * far as it is folded, and reads the log from there on.
 */
export async function* streamCommits(
  { log, rows, indexed }: StreamSource,
  stream: StreamName,
  { after, upTo }: Omit<CommitRange, 'partition'>,
  order: Order = 'asc',
): AsyncGenerator<Commit> {
  const partition = partitionOf(stream, log.partitions);
  const [last] = await log.read(partition, upTo - 1, 1);
  if (!last) return;
  // Before the rows are read, so that they include everything below `size`.
  const size = await indexed(partition, last.size);
  const isIndexed = (place: Pick<Place, 'size'>): boolean => place.size <= size;
  const from = isIndexed(last) ? upTo : await findLastCommit(log, { partition, after, upTo }, isIndexed);
  const isOfStream = leafTest({ stream });
  const [known, unknown] = [
    { partition, stream, after, upTo: from },
    { partition, after: from, upTo },
  ];
  if (order === 'asc') yield* indexedCommits(log, rows, known);
  for await (const commit of readCommits(log, unknown, order))
    if (commit.leaves.some(isOfStream)) yield commit;
  if (order === 'desc') yield* indexedCommitsBackward(log, rows, known);
}

/** The commits of a range, in order or the last one first. */
export const readCommits = (
  log: Pick<LogSource, 'read'>,
  range: CommitRange,
  order: Order,
): AsyncGenerator<Commit> => (order === 'asc' ? readRange(log, range) : readRangeBackward(log, range));

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
