import type { StreamName } from '../../domain/ids.js';
import { findLastCommit } from '../../log/checkLog.js';
import { type Commit, partitionOf } from '../../log/log.js';
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

/** A fast test of a leaf's text. It ignores times, which belong to the commit. */
export function textFilter({ stream, type, actor }: EventFilter): (leaf: string) => boolean {
  // A leaf's fields have a fixed order, and users' text in it is sealed.
  const start = stream === undefined ? '{' : `{"stream":${JSON.stringify(stream)},`;
  const parts: string[] = [];
  if (type !== undefined) parts.push(`,"type":${JSON.stringify(type)},`);
  if (actor !== undefined) parts.push(`,"actor":${JSON.stringify(actor)},`);
  return (leaf) => leaf.startsWith(start) && parts.every((part) => leaf.includes(part));
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
