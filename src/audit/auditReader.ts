import { setTimeout as delay } from 'node:timers/promises';
import { notFound } from '../base/errors.js';
import { decodeLeaf } from '../domain/codec.js';
import type { Moment } from '../domain/commands.js';
import type { EventType } from '../domain/events.js';
import type { Time } from '../domain/fields.js';
import type { RoomId, StreamName, UserId } from '../domain/ids.js';
import type { User } from '../domain/userMessageChat.js';
import { findLastCommit } from '../log/checkLog.js';
import type { ContentOpener } from '../projections/models/userRows.js';
import { type UserPageRequest, userPage } from '../projections/models/userSearch.js';
import type { Progress } from '../projections/queryWaits.js';
import type { RowReader } from '../projections/store/rowStore.js';
import {
  type At,
  type EventFilter,
  type EventSearch,
  findRanges,
  indexedSize,
  readTails,
} from './events/eventFilter.js';
import {
  allEvents,
  decodeCursor,
  type EventPage,
  type EventSource,
  encodeCursor,
  eventPage,
  followEvents,
  type UnreadRange,
} from './events/eventQuery.js';
import { type AuditKeys, type OpenEvent, openEvents } from './events/transcript.js';
import type { RoomSnapshot } from './groupInTime.js';
import { readRoomAt, readUserAt, type SnapshotSource, type UserSnapshot } from './pointInTime.js';
import type { AuditedLog } from './storedRows.js';

/** Interval at which a followed query checks the log when no progress is reported. */
const POLL_MS = 1000;

export interface AuditReaderParts {
  readonly log: AuditedLog;
  readonly rows: RowReader;
  readonly progress: Omit<Progress, 'lagMs'>;
  readonly keys: AuditKeys;
  readonly open: ContentOpener;
}

/** The ranges of a new query. The log may grow, but these ranges do not. */
export interface QueryStart {
  readonly rest: readonly UnreadRange[];
  /** The last position of each partition asked for; a followed query continues behind it. */
  readonly ends: ReadonlyMap<number, number>;
}

/**
 * The reads of auditors in a running system. They wait for the read models they use, and reject with
 * `overloaded` after 5 s.
 */
export class AuditReader {
  readonly #source: EventSource & SnapshotSource;

  constructor(private readonly parts: AuditReaderParts) {
    this.#source = { ...parts, indexed: indexedSize(parts.progress) };
  }

  /** Finds the events of a filter in the log as it is now. */
  async begin(filter: EventFilter): Promise<QueryStart> {
    const { log } = this.parts;
    const tails = await readTails(log, filter);
    const ends = new Map([...tails].map(([partition, tail]) => [partition, tail?.position ?? 0]));
    const ranges = await findRanges(log, filter, tails);
    return { rest: ranges.map((range) => ({ ...range, from: 0 })), ends };
  }

  /** Continues a search. Throws `bad_request` if `from` is not a `next` of this search. */
  resume(search: EventSearch, from: string): Pick<QueryStart, 'rest'> {
    return { rest: decodeCursor(this.parts.log.history, search, from) };
  }

  async page(
    search: EventSearch,
    { rest }: Pick<QueryStart, 'rest'>,
    limit: number,
  ): Promise<Pick<EventPage, 'events'> & { readonly next?: string }> {
    const page = await eventPage(this.#source, search, rest, limit);
    if (page.rest.length === 0) return { events: page.events };
    return { events: page.events, next: encodeCursor(this.parts.log.history, search, page.rest) };
  }

  /** The event at this offset of a partition. Rejects with `not_found` if there is none. */
  async event(partition: number, offset: number): Promise<OpenEvent> {
    const { log } = this.parts;
    const tail = partition < log.partitions ? await log.tail(partition) : undefined;
    if (!tail || offset >= tail.size) throw notFound('the log has no event at this place');
    const range = { partition, after: 0, upTo: tail.position };
    const position = await findLastCommit(log, range, ({ firstOffset }) => firstOffset <= offset);
    const [commit] = await log.read(partition, position - 1, 1);
    const leaf = commit?.leaves[offset - commit.firstOffset];
    if (leaf === undefined)
      throw new RangeError(
        `the commit at position ${position} of partition ${partition} lacks offset ${offset}`,
      );
    const [event] = await openEvents(this.#source.keys, [decodeLeaf(leaf, partition, offset)]);
    if (!event) throw new RangeError('one event was opened as none');
    return event;
  }

  /** The newest event of this type in a stream; undefined if there is none. */
  async newest(stream: StreamName, type: EventType): Promise<OpenEvent | undefined> {
    const search = { filter: { stream, type }, order: 'desc' } as const;
    let { rest } = await this.begin(search.filter);
    while (rest.length > 0) {
      const page = await eventPage(this.#source, search, rest, 1);
      const [event] = page.events;
      if (event) return event;
      rest = page.rest;
    }
    return undefined;
  }

  /** All events of the query, a page at a time. */
  all(filter: EventFilter, { rest }: QueryStart): AsyncGenerator<readonly OpenEvent[]> {
    return allEvents(this.#source, filter, rest);
  }

  /**
   * All events, then new ones, in order within each partition only. Ends at the signal, or when `mayGoOn`
   * resolves to false.
   */
  async *follow(
    filter: EventFilter,
    { rest, ends }: QueryStart,
    signal: AbortSignal,
    mayGoOn: () => Promise<boolean>,
  ): AsyncGenerator<readonly OpenEvent[]> {
    yield* allEvents(this.#source, filter, rest);
    const from = new Map([...ends, ...rest.map(({ partition, upTo }) => [partition, upTo] as const)]);
    yield* followEvents(this.#source, filter, from, async () => {
      await this.#waitForAdvance(signal);
      return !signal.aborted && (await mayGoOn());
    });
  }

  /** See `readRoomAt`. */
  async room(roomId: RoomId, at: At | undefined): Promise<RoomSnapshot> {
    await this.#waitForAll();
    return readRoomAt(this.#source, roomId, at);
  }

  /** See `readUserAt`. */
  async user(userId: UserId, time: Time | undefined): Promise<UserSnapshot> {
    await this.#waitForAll();
    return readUserAt(this.#source, userId, time);
  }

  /** A page of users with this part in a name: see `userPage`. */
  async findUsers(page: UserPageRequest): Promise<{ users: User[]; next?: string }> {
    await this.#waitForAll();
    return userPage(this.#source, page);
  }

  /** Waits until everything that is in the log now is folded. */
  async #waitForAll(): Promise<void> {
    const { log, progress } = this.parts;
    const waits: Promise<void>[] = [];
    for (let partition = 0; partition < log.partitions; partition++) {
      const moment: Moment = { partition, size: (await log.tail(partition))?.size ?? 0 };
      waits.push(progress.waitFor(moment));
    }
    await Promise.all(waits);
  }

  /** Resolves when a partition has advanced, after `POLL_MS`, or at the signal. */
  async #waitForAdvance(signal: AbortSignal): Promise<void> {
    const told = new AbortController();
    const stop = this.parts.progress.onAdvance(() => told.abort());
    const either = AbortSignal.any([signal, told.signal]);
    await delay(POLL_MS, undefined, { signal: either }).catch(() => {});
    stop();
  }
}
