import { createHash } from 'node:crypto';
import { z } from 'zod';
import { badRequest } from '../../base/errors.js';
import { decodeLeaf, leafTest } from '../../domain/codec.js';
import type { Recorded } from '../../domain/events.js';
import { PAGE_BYTES } from '../../domain/limits.js';
import type { CommitRange } from '../../log/checkLog.js';
import type { Commit } from '../../log/log.js';
import {
  type EventFilter,
  type EventSearch,
  filterNames,
  filterTest,
  matchesFilter,
  type Order,
  readCommits,
  type StreamSource,
  streamCommits,
} from './eventFilter.js';
import { type AuditKeys, type OpenEvent, openEvents } from './transcript.js';

/** Events and commits that one page may visit. It bounds the work of a filter that matches little. */
const MAX_VISITED = 1500;

/** The part of a partition that is still to be read. */
export interface UnreadRange extends CommitRange {
  /**
   * In ascending order, events of the first commit with a smaller offset have been visited. In descending order, events
   * of the last commit from this offset on have been visited, and 0 means none.
   */
  readonly from: number;
}

/** A page of events, with the ranges still to be read; no range is left at the end. */
export interface EventPage {
  readonly events: readonly OpenEvent[];
  readonly rest: readonly UnreadRange[];
}

/** The log and the rows to search, and the keys that open events. */
export interface EventSource extends StreamSource {
  readonly keys: AuditKeys;
}

/**
 * The first matching events in the unread ranges, at most `limit`, by time, then partition, then offset; in descending
 * order exactly the other way round. Events are opened if their keys still exist. A page may hold fewer events, even none, although ranges are
 * left. Rejects with `VaultUnavailable` if the vault cannot tell whether a user is erased.
 */
export async function eventPage(
  source: EventSource,
  search: EventSearch,
  rest: readonly UnreadRange[],
  limit: number,
): Promise<EventPage> {
  const page = new Page(search, rest, limit);
  const { filter, order } = search;
  const { stream } = filter;
  const sources = rest.map((between) =>
    stream === undefined
      ? readCommits(source.log, between, order)
      : streamCommits(source, stream, between, order),
  );
  for await (const commit of mergeCommits(sources, order))
    if (!page.take(commit)) return page.close(source, false);
  return page.close(source, true);
}

class Page {
  readonly #found: Recorded[] = [];
  readonly #rest: Map<number, UnreadRange>;
  readonly #isCandidate: (leaf: string) => boolean;
  readonly #isWanted: (leaf: string) => boolean;
  #visited = 0;
  /** Of the found events as they are stored. */
  #bytes = 0;

  constructor(
    private readonly search: EventSearch,
    rest: readonly UnreadRange[],
    private readonly limit: number,
  ) {
    this.#rest = new Map(rest.map((between) => [between.partition, between]));
    // Leaves of other streams, found through the index, are skipped without counting as visited.
    const { filter } = search;
    this.#isCandidate = leafTest(filter.stream === undefined ? {} : { stream: filter.stream });
    this.#isWanted = filterTest(filter);
  }

  /** Returns false if the page is full and ends before or in this commit. */
  take({ partition, position, firstOffset, leaves }: Commit): boolean {
    const rest = this.#rest.get(partition);
    if (!rest) throw new RangeError(`partition ${partition} was not asked for`);
    if (++this.#visited > MAX_VISITED) return false;
    const { filter, order } = this.search;
    const isAscending = order === 'asc';
    for (let i = 0; i < leaves.length; i++) {
      const index = isAscending ? i : leaves.length - 1 - i;
      const [leaf = '', offset] = [leaves[index], firstOffset + index];
      const isVisited = isAscending ? offset < rest.from : rest.from > 0 && offset >= rest.from;
      if (isVisited || !this.#isCandidate(leaf)) continue;
      const isFull = this.#found.length === this.limit || ++this.#visited > MAX_VISITED;
      const event = !isFull && this.#isWanted(leaf) ? decodeLeaf(leaf, partition, offset) : undefined;
      const isFound = event !== undefined && matchesFilter(filter, event);
      if (isFull || (isFound && !this.#add(event, leaf))) {
        const left = isAscending
          ? { after: position - 1, from: offset }
          : { upTo: position, from: offset + 1 };
        this.#rest.set(partition, { ...rest, ...left });
        return false;
      }
    }
    const done = isAscending ? { after: position, from: 0 } : { upTo: position - 1, from: 0 };
    this.#rest.set(partition, { ...rest, ...done });
    return true;
  }

  /** Returns false if the page would become larger than one may be. */
  #add(event: Recorded, leaf: string): boolean {
    this.#bytes += Buffer.byteLength(leaf);
    if (this.#found.length > 0 && this.#bytes > PAGE_BYTES) return false;
    this.#found.push(event);
    return true;
  }

  async close({ keys }: Pick<EventSource, 'keys'>, isAll: boolean): Promise<EventPage> {
    const rest = isAll ? [] : [...this.#rest.values()].filter(({ after, upTo }) => after < upTo);
    return { events: await openEvents(keys, this.#found), rest };
  }
}

/** Merges commits of several partitions by time, then partition. Reads one commit of each ahead. */
async function* mergeCommits(
  sources: readonly AsyncGenerator<Commit>[],
  order: Order,
): AsyncGenerator<Commit> {
  const sign = order === 'asc' ? 1 : -1;
  try {
    const firsts = await Promise.all(sources.map((source) => source.next()));
    const heads = firsts.map(({ value }, i) => ({ commit: value as Commit | undefined, source: sources[i] }));
    for (;;) {
      const next = heads.filter(({ commit }) => commit).sort((a, b) => sign * byTime(a, b))[0];
      if (!next?.commit) return;
      yield next.commit;
      next.commit = (await next.source?.next())?.value;
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)));
  }
}

interface MergeSource {
  readonly commit: Commit | undefined;
}

function byTime({ commit: a }: MergeSource, { commit: b }: MergeSource): number {
  if (!a || !b) return 0;
  if (a.recordedAt === b.recordedAt) return a.partition - b.partition;
  return a.recordedAt < b.recordedAt ? -1 : 1;
}

const Whole = z.int().min(0);
const Cursor = z.tuple([z.string(), z.array(z.tuple([Whole, Whole, Whole, Whole])).max(1024)]);

/** Encodes the unread ranges of a search as an opaque cursor. */
export function encodeCursor(logId: string, search: EventSearch, rest: readonly UnreadRange[]): string {
  const left = rest.map(({ partition, after, upTo, from }) => [partition, after, upTo, from]);
  return Buffer.from(JSON.stringify([searchId(logId, search), left])).toString('base64url');
}

/** Decodes a cursor. Throws `bad_request` if it is not from `encodeCursor` with the same search. */
export function decodeCursor(logId: string, search: EventSearch, text: string): UnreadRange[] {
  const parsed = Cursor.safeParse(parse(text));
  if (!parsed.success || parsed.data[0] !== searchId(logId, search)) {
    const message = 'must be the next of a page of the same query';
    throw badRequest(`from ${message}`, [{ path: 'from', message }]);
  }
  return parsed.data[1].map(([partition, after, upTo, from]) => ({ partition, after, upTo, from }));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}

/** Identifies a search of a log, by all of its fields. */
function searchId(logId: string, { filter, order }: EventSearch): string {
  const asked = JSON.stringify([logId, order, ...filterNames.map((name) => filter[name] ?? null)]);
  return createHash('sha256').update(asked).digest('base64url').slice(0, 8);
}

const EVENTS_PER_PAGE = 200;

/**
 * All matching events in the unread ranges in ascending order, a page at a time and at least one page. Reads the next page when
 * this one is taken.
 */
export async function* allEvents(
  source: EventSource,
  filter: EventFilter,
  rest: readonly UnreadRange[],
): AsyncGenerator<readonly OpenEvent[]> {
  let left = rest;
  do {
    const page = await eventPage(source, { filter, order: 'asc' }, left, EVENTS_PER_PAGE);
    yield page.events;
    left = page.rest;
  } while (left.length > 0);
}

/**
 * Matching events behind these positions, and new ones, in order within each partition only. `more` resolves
 * to true when there may be more, and to false at the end.
 */
export async function* followEvents(
  source: EventSource,
  filter: EventFilter,
  from: ReadonlyMap<number, number>,
  more: () => Promise<boolean>,
): AsyncGenerator<readonly OpenEvent[]> {
  const reached = new Map(from);
  do {
    for (const [partition, after] of reached) {
      const upTo = (await source.log.tail(partition))?.position ?? 0;
      if (upTo <= after) continue;
      yield* allEvents(source, filter, [{ partition, after, upTo, from: 0 }]);
      reached.set(partition, upTo);
    }
  } while (await more());
}
