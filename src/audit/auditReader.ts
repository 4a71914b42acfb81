import { setTimeout as delay } from 'node:timers/promises';
import type { Moment } from '../domain/commands.js';
import type { Time } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';

import { chatsModel } from '../projections/models/chats.js';
import { friendshipsModel } from '../projections/models/friendships.js';
import { type Opens, usersModel } from '../projections/models/users.js';

import type { Progress } from '../projections/queries.js';
import type { RowReader } from '../projections/store/rowStore.js';
import type { KeyStore } from '../vault/vault.js';
import { type EventFilter, stretchesOf, tailsOf } from './events/eventFilter.js';
import {
  allEvents,
  decodeRest,
  type EventPage,
  type EventSource,
  encodeRest,
  eventPage,
  followEvents,
  type Rest,
} from './events/eventQuery.js';
import type { OpenEvent } from './events/openEvents.js';
import { type At, indexedBy } from './events/streamCommits.js';
import { type PastSource, type RoomThen, roomThen, type UserThen, userThen } from './past/pointInTime.js';
import type { SourceLog } from './storedRows.js';

/** Whoever follows looks for more so often, if nothing tells them before. */
const LOOK_MS = 1000;

export interface AuditReaderParts {
  readonly log: SourceLog;
  readonly rows: RowReader;
  readonly progress: Pick<Progress, 'reached' | 'folded' | 'onAdvance'>;
  readonly keys: Pick<KeyStore, 'keys'>;
  readonly open: Opens;
}

/** Where a query begins: the log may grow, what is asked for does not. */
export interface Beginning {
  readonly rest: readonly Rest[];
  /** How far each partition that is asked for was, at most: from here on it is followed. */
  readonly ends: ReadonlyMap<number, number>;
}

/** What auditors of a running system are shown. Reads wait for the read models they use, `overloaded` after 5 s. */
export class AuditReader {
  readonly #source: EventSource & PastSource;

  constructor(private readonly parts: AuditReaderParts) {
    this.#source = { ...parts, indexed: indexedBy(parts.progress) };
  }

  /** Where the events of a filter are, as the log is now. */
  async begin(filter: EventFilter): Promise<Beginning> {
    const { log } = this.parts;
    const tails = await tailsOf(log, filter);
    const ends = new Map([...tails].map(([partition, tail]) => [partition, tail?.position ?? 0]));
    const stretches = await stretchesOf(log, filter, tails);
    return { rest: stretches.map((stretch) => ({ ...stretch, from: 0 })), ends };
  }

  /** Goes on with a query. Throws `bad_request` for what is no `next` of it. */
  resume(filter: EventFilter, from: string): Pick<Beginning, 'rest'> {
    return { rest: decodeRest(this.parts.log.id, filter, from) };
  }

  async page(
    filter: EventFilter,
    { rest }: Pick<Beginning, 'rest'>,
    limit: number,
  ): Promise<Pick<EventPage, 'events'> & { readonly next?: string }> {
    const page = await eventPage(this.#source, filter, rest, limit);
    if (page.rest.length === 0) return { events: page.events };
    return { events: page.events, next: encodeRest(this.parts.log.id, filter, page.rest) };
  }

  /** All of them, a page at a time. */
  all(filter: EventFilter, { rest }: Beginning): AsyncGenerator<readonly OpenEvent[]> {
    return allEvents(this.#source, filter, rest);
  }

  /** The same, and what comes, in order within each partition only, until the signal or until `mayGoOn` says no. */
  async *follow(
    filter: EventFilter,
    { rest, ends }: Beginning,
    signal: AbortSignal,
    mayGoOn: () => Promise<boolean>,
  ): AsyncGenerator<readonly OpenEvent[]> {
    yield* allEvents(this.#source, filter, rest);
    const from = new Map([...ends, ...rest.map(({ partition, upTo }) => [partition, upTo] as const)]);
    yield* followEvents(this.#source, filter, from, async () => {
      await this.#advanced(signal);
      return !signal.aborted && (await mayGoOn());
    });
  }

  /** See `roomThen`. */
  async room(roomId: RoomId, at: At): Promise<RoomThen> {
    await this.#settle([usersModel.name]);
    return roomThen(this.#source, roomId, at);
  }

  /** See `userThen`. */
  async user(userId: UserId, time: Time): Promise<UserThen> {
    await this.#settle([usersModel.name, friendshipsModel.name, chatsModel.name]);
    return userThen(this.#source, userId, time);
  }

  async #settle(models: readonly string[]): Promise<void> {
    const { log, progress } = this.parts;
    const waits: Promise<void>[] = [];
    for (let partition = 0; partition < log.partitions; partition++) {
      const moment: Moment = { partition, size: (await log.tail(partition))?.size ?? 0 };
      waits.push(...models.map((model) => progress.reached(model, moment)));
    }
    await Promise.all(waits);
  }

  /** Resolves when some model has folded more, after a while, or at the signal. */
  async #advanced(signal: AbortSignal): Promise<void> {
    const told = new AbortController();
    const stop = this.parts.progress.onAdvance(() => told.abort());
    const either = AbortSignal.any([signal, told.signal]);
    await delay(LOOK_MS, undefined, { signal: either }).catch(() => {});
    stop();
  }
}
