import { createHash } from 'node:crypto';
import { z } from 'zod';
import { badRequest } from '../../base/errors.js';
import { decodeLeaf } from '../../domain/codec.js';
import type { Recorded } from '../../domain/events.js';
import { type CommitRange, readRange } from '../../log/checkLog.js';
import type { Commit } from '../../log/log.js';
import type { KeyStore } from '../../vault/vault.js';
import { type EventFilter, textFilter } from './eventFilter.js';
import { type OpenEvent, openEvents } from './openEvents.js';
import { type StreamSource, streamCommits } from './streamCommits.js';

/** Events that are looked at for a page, and commits: what bounds its work where a filter finds little. */
const MAX_VISITED = 1500;

/** What is left to read of a partition. */
export interface UnreadRange extends CommitRange {
  /** Of the first commit, events with a smaller offset have been looked at. */
  readonly from: number;
}

/** Events of a filter, and where to go on; nothing is left at the end. */
export interface EventPage {
  readonly events: readonly OpenEvent[];
  readonly rest: readonly UnreadRange[];
}

/** Where events are found, and what opens them. */
export interface EventSource extends StreamSource {
  readonly keys: Pick<KeyStore, 'keys'>;
}

/**
 * The first events of a filter in what is left, at most `limit`, by time, then partition, then offset, opened where
 * their keys still exist. May hold fewer, even none, although more is left. Rejects with `VaultUnavailable` where it
 * cannot be known whether something is erased.
 */
export async function eventPage(
  source: EventSource,
  filter: EventFilter,
  rest: readonly UnreadRange[],
  limit: number,
): Promise<EventPage> {
  const page = new Page(filter, rest, limit);
  const { stream } = filter;
  const sources = rest.map((between) =>
    stream === undefined ? readRange(source.log, between) : streamCommits(source, stream, between),
  );
  for await (const commit of merge(sources)) if (!page.take(commit)) return page.close(source, false);
  return page.close(source, true);
}

class Page {
  readonly #found: Recorded[] = [];
  readonly #rest: Map<number, UnreadRange>;
  readonly #isCandidate: (leaf: string) => boolean;
  readonly #isWanted: (leaf: string) => boolean;
  #visited = 0;

  constructor(
    private readonly filter: EventFilter,
    rest: readonly UnreadRange[],
    private readonly limit: number,
  ) {
    this.#rest = new Map(rest.map((between) => [between.partition, between]));
    // In what an index has found, other streams' events cost next to nothing.
    this.#isCandidate = textFilter(filter.stream === undefined ? {} : { stream: filter.stream });
    this.#isWanted = textFilter(filter);
  }

  /** False: the page is full, and ends before or in this commit. */
  take({ partition, position, firstOffset, leaves }: Commit): boolean {
    const rest = this.#rest.get(partition);
    if (!rest) throw new RangeError(`partition ${partition} was not asked for`);
    if (++this.#visited > MAX_VISITED) return false;
    for (const [i, leaf] of leaves.entries()) {
      const offset = firstOffset + i;
      if (offset < rest.from || !this.#isCandidate(leaf)) continue;
      if (this.#found.length === this.limit || ++this.#visited > MAX_VISITED) {
        this.#rest.set(partition, { ...rest, after: position - 1, from: offset });
        return false;
      }
      if (!this.#isWanted(leaf)) continue;
      const event = decodeLeaf(leaf, partition, offset);
      if (matchesFilter(this.filter, event)) this.#found.push(event);
    }
    this.#rest.set(partition, { ...rest, after: position, from: 0 });
    return true;
  }

  async close({ keys }: Pick<EventSource, 'keys'>, isAll: boolean): Promise<EventPage> {
    const rest = isAll ? [] : [...this.#rest.values()].filter(({ after, upTo }) => after < upTo);
    return { events: await openEvents(keys, this.#found), rest };
  }
}

/** Whether it is what the text had looked like, and of the time. */
function matchesFilter({ stream, type, actor, since, until }: EventFilter, event: Recorded): boolean {
  if ((stream ?? event.stream) !== event.stream || (type ?? event.type) !== event.type) return false;
  if ((actor ?? event.actor) !== event.actor) return false;
  return (since ?? '') <= event.recordedAt && (until === undefined || event.recordedAt < until);
}

/** Commits of several partitions, each in its order, as one: by time, then partition. Reads one ahead of each. */
async function* merge(sources: readonly AsyncGenerator<Commit>[]): AsyncGenerator<Commit> {
  try {
    const firsts = await Promise.all(sources.map((source) => source.next()));
    const heads = firsts.map(({ value }, i) => ({ commit: value as Commit | undefined, source: sources[i] }));
    for (;;) {
      const next = heads.filter(({ commit }) => commit).sort(byTime)[0];
      if (!next?.commit) return;
      yield next.commit;
      next.commit = (await next.source?.next())?.value;
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)));
  }
}

interface Head {
  readonly commit: Commit | undefined;
}

function byTime({ commit: a }: Head, { commit: b }: Head): number {
  if (!a || !b) return 0;
  if (a.recordedAt === b.recordedAt) return a.partition - b.partition;
  return a.recordedAt < b.recordedAt ? -1 : 1;
}

const Whole = z.int().min(0);
const Cursor = z.tuple([z.string(), z.array(z.tuple([Whole, Whole, Whole, Whole])).max(1024)]);

/** What is left of a query, as text that means nothing to whoever keeps it. */
export function encodeCursor(logId: string, filter: EventFilter, rest: readonly UnreadRange[]): string {
  const left = rest.map(({ partition, after, upTo, from }) => [partition, after, upTo, from]);
  return Buffer.from(JSON.stringify([queryId(logId, filter), left])).toString('base64url');
}

/** Throws `bad_request` for what `encodeCursor` did not make of this very query. */
export function decodeCursor(logId: string, filter: EventFilter, text: string): UnreadRange[] {
  const parsed = Cursor.safeParse(parse(text));
  if (!parsed.success || parsed.data[0] !== queryId(logId, filter)) {
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

function queryId(logId: string, { stream, type, actor, since, until, partition }: EventFilter): string {
  const asked = JSON.stringify([logId, stream, type, actor, since, until, partition]);
  return createHash('sha256').update(asked).digest('base64url').slice(0, 8);
}

const PAGE = 200;

/** All events of a filter in what is left, a page at a time and one at least: the next is read once this one is taken. */
export async function* allEvents(
  source: EventSource,
  filter: EventFilter,
  rest: readonly UnreadRange[],
): AsyncGenerator<readonly OpenEvent[]> {
  let left = rest;
  do {
    const page = await eventPage(source, filter, left, PAGE);
    yield page.events;
    left = page.rest;
  } while (left.length > 0);
}

/**
 * The events of a filter behind these positions (by partition) and whatever comes, in order within each partition only.
 * `more` resolves when there may be more, and to false at the end.
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
