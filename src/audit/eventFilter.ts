import { partitionOf, type StreamName } from '../events/ids.js';
import type { Commit } from '../log/log.js';
import type { SourceLog } from './source.js';

/** Which events are wanted; what is absent does not matter. */
export interface EventFilter {
  readonly stream?: StreamName;
  readonly type?: string;
  readonly actor?: string;
  /** ISO 8601 in UTC with milliseconds; inclusive. */
  readonly since?: string;
  /** The same, exclusive. */
  readonly until?: string;
  readonly partition?: number;
}

/** The commits of one partition that may hold events of a filter: `after` exclusive, `upTo` inclusive. */
export interface Stretch {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
  /** About how many events are in it. */
  readonly events: number;
}

/** Whether a leaf is of this filter, as far as its text tells at once; times are those of its commit. */
export function textFilter({ stream, type, actor }: EventFilter): (leaf: string) => boolean {
  // A leaf's fields have a fixed order, and no text of a user stands in the clear in it.
  const start = stream === undefined ? '{' : `{"stream":${JSON.stringify(stream)},`;
  const parts: string[] = [];
  if (type !== undefined) parts.push(`,"type":${JSON.stringify(type)},`);
  if (actor !== undefined) parts.push(`,"actor":${JSON.stringify(actor)},`);
  return (leaf) => leaf.startsWith(start) && parts.every((part) => leaf.includes(part));
}

/** Where a filter's events lie in each partition, as the log is now. Times of commits never go back. */
export async function stretchesOf(log: SourceLog, filter: EventFilter): Promise<Stretch[]> {
  const { stream, since, until } = filter;
  const home = stream === undefined ? filter.partition : partitionOf(stream, log.partitions);
  const stretches: Stretch[] = [];
  for (let partition = 0; partition < log.partitions; partition++) {
    if ((home ?? partition) !== partition || (filter.partition ?? partition) !== partition) continue;
    const tail = await log.tail(partition);
    if (!tail) continue;
    const after = since === undefined ? 0 : await lastBefore(log, tail, since);
    const upTo = until === undefined ? tail.position : await lastBefore(log, tail, until);
    if (after >= upTo) continue;
    const events = Math.ceil((tail.size * (upTo - after)) / tail.position);
    stretches.push({ partition, after, upTo, events });
  }
  return stretches;
}

/** The position of the last commit before a time; 0: there is none. */
async function lastBefore(log: SourceLog, tail: Commit, time: string): Promise<number> {
  let [low, high] = [0, tail.position];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const [commit] = await log.read(tail.partition, middle - 1, 1);
    if (commit && commit.recordedAt < time) low = middle;
    else high = middle - 1;
  }
  return low;
}
