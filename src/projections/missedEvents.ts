import { LRUCache } from 'lru-cache';
import { pushesTo, type Recorded } from '../domain/events.js';
import type { StreamName, UserId } from '../domain/ids.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import { partitionOf } from '../log/log.js';
import { chatsModel } from './models/chatRows.js';
import { friendshipsModel } from './models/friendshipRows.js';
import {
  type ChangedStream,
  indexedEvents,
  type MissedEvents,
  type OffsetRange,
} from './models/streamIndex.js';
import type { Model, RowReader } from './store/rowStore.js';

/** The parts of the log that a replay reads. */
export type ReplayedLog = LogSource & { readonly partitions: number };

/** Remembered places of offsets. A place never changes: the log only grows. */
const MAX_PLACES = 10_000;

/**
 * The user's streams of a partition whose row lies above an offset, by key, from behind `after`.
 * `friendship:…` sorts before `room:…`: the walk goes through one model, then through the other.
 */
export async function changedStreams(
  rows: RowReader,
  userId: UserId,
  partition: number,
  above: number,
  { after, limit }: { after?: string; limit: number },
): Promise<ChangedStream[]> {
  const terms = [`${userId}/${partition}`];
  const from = after === undefined ? {} : { from: { sort: 0, key: after } };
  const keys: ChangedStream[] = [];
  const visit = async <R>(model: Model<R>) => {
    const find = { terms, above, byKey: true, limit: limit - keys.length, ...from };
    for (const { key } of await rows.find(model, 'changed', find)) keys.push({ key });
  };
  if (after === undefined || after < 'room:') await visit(friendshipsModel);
  if (keys.length < limit) await visit(chatsModel);
  return keys;
}

/**
 * Reads from the log the events that a user has missed of one stream. What each means to the user follows from its
 * declaration, as for a live push. The index of streams and the chats must be folded up to the end of the range.
 */
export class MissedEventReader {
  /** By partition and offset, the position of the last commit that lies below it. */
  readonly #places = new LRUCache<string, number>({ max: MAX_PLACES });

  constructor(
    private readonly rows: RowReader,
    private readonly log: ReplayedLog,
  ) {}

  /** See `Queries.missedEvents`. */
  async of(
    userId: UserId,
    stream: StreamName,
    { above, upTo }: OffsetRange,
    limit: number,
  ): Promise<MissedEvents> {
    const partition = partitionOf(stream, this.log.partitions);
    const [after, newest] = await Promise.all([
      this.#placeBelow(partition, above),
      this.#newestMarks(stream),
    ]);
    const events: Recorded[] = [];
    for await (const { event, position } of indexedEvents(this.log, this.rows, {
      partition,
      stream,
      after,
    })) {
      if (event.offset > upTo) break;
      if (event.offset <= above || !isMissed(event, userId, newest)) continue;
      if (events.length === limit) {
        // The next page begins above the last event of this one, in this commit or behind it.
        this.#places.set(`${partition}/${events.at(-1)?.offset}`, position - 1);
        return { events, hasMore: true };
      }
      events.push(event);
    }
    return { events, hasMore: false };
  }

  async #placeBelow(partition: number, above: number): Promise<number> {
    if (above < 0) return 0;
    const key = `${partition}/${above}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const tail = await this.log.tail(partition);
    const between = { partition, after: 0, upTo: tail?.position ?? 0 };
    const place = await findLastCommit(this.log, between, ({ size }) => size <= above + 1);
    this.#places.set(key, place);
    return place;
  }

  /** By the key of a read mark's push, the offset of the newest one. */
  async #newestMarks(stream: StreamName): Promise<ReadonlyMap<string, number>> {
    const chat = (await this.rows.get(chatsModel, [stream])).get(stream)?.value;
    const marks = Object.entries(chat?.reads ?? {});
    return new Map(marks.map(([member, { offset }]) => [`${chat?.roomId}/${member}`, offset]));
  }
}

function isMissed(event: Recorded, user: UserId, newest: ReadonlyMap<string, number>): boolean {
  return pushesTo(user, event).some(
    ({ onlyNewest }) => onlyNewest === undefined || newest.get(onlyNewest) === event.offset,
  );
}
