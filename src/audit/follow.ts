import type { EventFilter } from './eventFilter.js';
import type { OpenEvent } from './openEvents.js';
import { type EventSource, eventPage, type Rest } from './query.js';

const PAGE = 200;

/** All events of a filter in what is left, a page at a time and one at least: the next is read once this one is taken. */
export async function* allEvents(
  source: EventSource,
  filter: EventFilter,
  rest: readonly Rest[],
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
