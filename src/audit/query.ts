import { decodeLeaf } from '../events/codec.js';
import type { Recorded } from '../events/types.js';
import type { Commit } from '../log/log.js';
import type { KeyStore } from '../vault/vault.js';
import { type Between, commitsBetween } from './commits.js';
import { type EventFilter, textFilter } from './eventFilter.js';
import { merge } from './merge.js';
import { type OpenEvent, openEvents } from './openEvents.js';
import { type StreamSource, streamCommits } from './streamCommits.js';

/** Events that are looked at for a page, and commits: what bounds its work where a filter finds little. */
const LOOKED_AT = 1500;

/** What is left to read of a partition. */
export interface Rest extends Between {
  /** Of the first commit, events with a smaller offset have been looked at. */
  readonly from: number;
}

/** Events of a filter, and where to go on; nothing is left at the end. */
export interface EventPage {
  readonly events: readonly OpenEvent[];
  readonly rest: readonly Rest[];
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
  rest: readonly Rest[],
  limit: number,
): Promise<EventPage> {
  const page = new Page(filter, rest, limit);
  const { stream } = filter;
  const sources = rest.map((between) =>
    stream === undefined ? commitsBetween(source.log, between) : streamCommits(source, stream, between),
  );
  for await (const commit of merge(sources)) if (!page.take(commit)) return page.close(source, false);
  return page.close(source, true);
}

class Page {
  readonly #found: Recorded[] = [];
  readonly #rest: Map<number, Rest>;
  readonly #isCandidate: (leaf: string) => boolean;
  readonly #isWanted: (leaf: string) => boolean;
  #lookedAt = 0;

  constructor(
    private readonly filter: EventFilter,
    rest: readonly Rest[],
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
    if (++this.#lookedAt > LOOKED_AT) return false;
    for (const [i, leaf] of leaves.entries()) {
      const offset = firstOffset + i;
      if (offset < rest.from || !this.#isCandidate(leaf)) continue;
      if (this.#found.length === this.limit || ++this.#lookedAt > LOOKED_AT) {
        this.#rest.set(partition, { ...rest, after: position - 1, from: offset });
        return false;
      }
      if (!this.#isWanted(leaf)) continue;
      const event = decodeLeaf(leaf, partition, offset);
      if (isOf(this.filter, event)) this.#found.push(event);
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
function isOf({ stream, type, actor, since, until }: EventFilter, event: Recorded): boolean {
  if ((stream ?? event.stream) !== event.stream || (type ?? event.type) !== event.type) return false;
  if ((actor ?? event.actor) !== event.actor) return false;
  return (since ?? '') <= event.recordedAt && (until === undefined || event.recordedAt < until);
}
