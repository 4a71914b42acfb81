import { type AuditKeys, type OpenEvent, openEvents } from '../audit/events/transcript.js';
import { systemTimer } from '../base/clock.js';
import { overloaded } from '../base/errors.js';
import type { CommitFrame } from '../cluster/bus.js';
import type { Recorded } from '../domain/events.js';
import { PAGE_BYTES } from '../domain/limits.js';
import { EventReader, type ReadableLog, selects } from './eventReader.js';
import type { Places } from './places.js';

/** Requests that wait for events on this node at once. */
const MOST_WAITING = 256;
/** A request that waits looks at the log after this time, as the bus may lose what it carries. */
const LOOK_EVERY_MS = 1000;

export interface FeedDeps {
  readonly log: ReadableLog;
  readonly keys: AuditKeys;
  readonly places: Places;
}

/** What is asked for. `from`: see `Places`. */
export interface EventsQuery {
  readonly from: string;
  readonly types?: readonly string[];
  readonly limit: number;
  readonly waitMs: number;
}

/** A request that may wait. */
interface Waiter {
  signals: number;
  wake(): void;
  readonly readers: readonly EventReader[];
}

/** The events of the log for those who ask for them. In order within a partition. */
export class EventFeed {
  readonly #deps: FeedDeps;
  readonly #waiters = new Set<Waiter>();

  constructor(deps: FeedDeps) {
    this.#deps = deps;
  }

  /** Takes a commit from the bus. */
  readonly receive = (frame: CommitFrame): void => {
    for (const waiter of this.#waiters) {
      waiter.readers[frame.partition]?.offer(frame);
      waiter.signals++;
      waiter.wake();
    }
  };

  /**
   * A page of events, and the place behind it. Without an event there, it waits until there is one, for the time given
   * at most. Throws `bad_request` for a place that is none, and `overloaded` if too many wait.
   */
  async page(
    query: EventsQuery,
    gone: AbortSignal,
  ): Promise<{ readonly events: readonly OpenEvent[]; readonly next: string }> {
    const { log, keys, places } = this.#deps;
    const { types, limit, waitMs } = query;
    const at = await places.find(query.from, 'from');
    if (this.#waiters.size >= MOST_WAITING)
      throw overloaded(`${MOST_WAITING} requests wait for events on this server, the maximum: try again`);
    const readers = at.map((size, partition) => new EventReader(log, partition, size));
    const waiter: Waiter = { signals: 0, wake() {}, readers };
    this.#waiters.add(waiter);
    try {
      const isSelected = selects(types === undefined ? {} : { types });
      const events = await this.#find(waiter, isSelected, limit, performance.now() + waitMs, gone);
      return {
        events: await openEvents(keys, events),
        next: places.cursorOf(readers.map(({ size }) => size)),
      };
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  async #find(
    waiter: Waiter,
    isSelected: (event: Recorded) => boolean,
    limit: number,
    until: number,
    gone: AbortSignal,
  ): Promise<readonly Recorded[]> {
    for (;;) {
      const seen = waiter.signals;
      const { events, isAtEnd } = await readShares(waiter.readers, isSelected, limit);
      const left = until - performance.now();
      if (events.length > 0 || left <= 0 || gone.aborted) return events;
      if (isAtEnd && waiter.signals === seen) await this.#wait(waiter, Math.min(left, LOOK_EVERY_MS), gone);
    }
  }

  /** Resolves when there may be more. */
  async #wait(waiter: Waiter, ms: number, gone: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        gone.removeEventListener('abort', end);
        waiter.wake = () => {};
        resolve();
      };
      const cancel = systemTimer(end, ms);
      waiter.wake = end;
      gone.addEventListener('abort', end, { once: true });
    });
    const { log } = this.#deps;
    for (const [partition, reader] of waiter.readers.entries())
      reader.noteTail((await log.tail(partition))?.position ?? 0);
  }
}

/** Reads of each partition its share, and then what is left of the page from those that have more. */
async function readShares(
  readers: readonly EventReader[],
  isSelected: (event: Recorded) => boolean,
  limit: number,
): Promise<{ readonly events: readonly Recorded[]; readonly isAtEnd: boolean }> {
  const events: Recorded[] = [];
  let characters = 0;
  let waiting = readers;
  for (const parts of [readers.length, 1]) {
    const left: EventReader[] = [];
    for (const reader of waiting) {
      const room = Math.min(Math.ceil(limit / parts), limit - events.length);
      if (room <= 0 || characters >= PAGE_BYTES) return { events, isAtEnd: false };
      const found = await reader.read(isSelected, {
        events: room,
        characters: Math.ceil((PAGE_BYTES - characters) / parts),
      });
      events.push(...found.events);
      characters += found.characters;
      if (!found.isAtEnd) left.push(reader);
    }
    waiting = left;
    if (waiting.length === 0 || readers.length === 1) break;
  }
  return { events, isAtEnd: waiting.length === 0 };
}
