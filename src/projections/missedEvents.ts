import { LRUCache } from 'lru-cache';
import type { SealedMessage } from '../domain/defineEvent.js';
import { changedBy, type MessagePlace, pushesTo, type Recorded } from '../domain/events.js';
import type { StreamName, UserId } from '../domain/ids.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import { partitionOf } from '../log/log.js';
import { type ChatRow, chatsModel, isMember } from './models/chatRows.js';
import { messageKey } from './models/messageKeys.js';
import { messageOf, messagesModel } from './models/messageRows.js';
import {
  type ChangedStream,
  indexedEvents,
  type MissedEvent,
  type MissedEvents,
  type OffsetRange,
} from './models/streamIndex.js';
import { findChecked, type RowReader } from './store/rowStore.js';

/** The parts of the log that a replay reads. */
export type ReplayedLog = LogSource & { readonly partitions: number };

/** Remembered places of offsets. A place never changes: the log only grows. */
const MAX_PLACES = 10_000;

/** The user's streams of a partition whose row lies above an offset, by key, from behind `after`. */
export async function changedStreams(
  rows: RowReader,
  userId: UserId,
  partition: number,
  above: number,
  { after, limit }: { after?: string; limit: number },
): Promise<ChangedStream[]> {
  const terms = [`${userId}/${partition}`];
  const from = after === undefined ? {} : { from: { sort: 0, key: after } };
  const found = await findChecked(rows, chatsModel, 'changed', {
    find: { terms, above, limit, ...from },
    isWanted: (row) =>
      row.partition === partition && row.offset > above && row.value !== null && isMember(row.value, userId),
  });
  return found.map(({ key }) => ({ key }));
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
    { since, above, upTo }: OffsetRange,
    limit: number,
  ): Promise<MissedEvents> {
    const partition = partitionOf(stream, this.log.partitions);
    const [after, pair] = await Promise.all([
      this.#placeBelow(partition, above),
      this.rows.get(chatsModel, [stream]).then((found) => found.get(stream)?.value ?? undefined),
    ]);
    const seen = { user: userId, members: pair?.members ?? [], newest: newestMarks(pair) };
    const events: Recorded[] = [];
    let hasMore = false;
    for await (const { event, position } of indexedEvents(this.log, this.rows, {
      partition,
      stream,
      after,
    })) {
      if (event.offset > upTo) break;
      if (event.offset <= above || !isMissed(event, seen)) continue;
      if (events.length === limit) {
        // The next page begins above the last event of this one, in this commit or behind it.
        this.#places.set(`${partition}/${events.at(-1)?.offset}`, position - 1);
        hasMore = true;
        break;
      }
      events.push(event);
    }
    const isAsSent = (pair?.changedAt ?? -1) <= since;
    if (isAsSent) return { events: events.map((event) => withScene(event, seen.members, nothing)), hasMore };
    const now = await this.#messagesNow(events);
    const firstSeq = await this.#firstSeqAbove(since, partition, stream);
    const last = await this.#lastChanges(events, now, { partition, stream, upTo });
    const once = events.map((event) => {
      const place = changedBy(event);
      if (!place) return withScene(event, seen.members, now);
      // A message comes once, as it is now: when it was sent, or with the last of its changes.
      const isShown = place.seq < firstSeq && isShownBy(event, now.get(keyOf(place)), last);
      return isShown ? withScene(event, seen.members, now) : { event, scene: { members: nobody } };
    });
    return { events: once, hasMore };
  }

  /** The `seq` of the stream's first message above an offset; infinite if there is none. */
  async #firstSeqAbove(offset: number, partition: number, stream: StreamName): Promise<number> {
    const after = await this.#placeBelow(partition, offset);
    for await (const { event } of indexedEvents(this.log, this.rows, { partition, stream, after }))
      if (event.offset > offset && event.type === 'MessageSent') return event.data.seq;
    return Number.POSITIVE_INFINITY;
  }

  /** By key, the messages of these events that are not as they were sent. */
  async #messagesNow(events: readonly Recorded[]): Promise<ReadonlyMap<string, ChangedMessage>> {
    const keys = events.flatMap((event) => {
      const place = event.type === 'MessageSent' ? event.data : changedBy(event);
      return place ? [keyOf(place)] : [];
    });
    const sent = new Set(events.flatMap(({ type, offset }) => (type === 'MessageSent' ? [offset] : [])));
    const found = await this.rows.get(messagesModel, [...new Set(keys)]);
    const changed = new Map<string, ChangedMessage>();
    for (const [key, row] of found) {
      const message = messageOf(row);
      // The row of a message that was not changed is at the event that sent it.
      if (message && !sent.has(row.offset)) changed.set(key, { message, offset: row.offset });
    }
    return changed;
  }

  /**
   * By key, the offset of the last change up to `upTo` of each message among these events. The row says it, unless the
   * message was changed behind `upTo` too: then the log does.
   */
  async #lastChanges(
    events: readonly Recorded[],
    now: ReadonlyMap<string, ChangedMessage>,
    { partition, stream, upTo }: { partition: number; stream: StreamName; upTo: number },
  ): Promise<ReadonlyMap<string, number>> {
    const last = new Map<string, number>();
    let isOpen = false;
    for (const event of events) {
      const place = changedBy(event);
      if (!place) continue;
      const offset = now.get(keyOf(place))?.offset ?? event.offset;
      if (offset > upTo) isOpen = true;
      last.set(keyOf(place), offset > upTo ? event.offset : offset);
    }
    const end = events.at(-1)?.offset ?? upTo;
    if (!isOpen) return last;
    const after = await this.#placeBelow(partition, end);
    for await (const { event } of indexedEvents(this.log, this.rows, { partition, stream, after })) {
      if (event.offset > upTo) break;
      const place = event.offset > end ? changedBy(event) : undefined;
      if (place && last.has(keyOf(place))) last.set(keyOf(place), event.offset);
    }
    return last;
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
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
const nobody: readonly UserId[] = [];

/** By the key of a read mark's push, the offset of the newest one. */
function newestMarks(pair: ChatRow | undefined): ReadonlyMap<string, number> {
  const marks = Object.entries(pair?.reads ?? {});
  return new Map(marks.map(([member, { offset }]) => [`${pair?.roomId}/${member}`, offset]));
}

interface Seen {
  readonly user: UserId;
  readonly members: readonly UserId[];
  readonly newest: ReadonlyMap<string, number>;
}

const isMissed = (event: Recorded, { user, members, newest }: Seen): boolean =>
  pushesTo(user, event, { members }).some(
    ({ onlyNewest }) => onlyNewest === undefined || newest.get(onlyNewest) === event.offset,
  );

/** A message that is not as it was sent, and the offset of its last change. */
interface ChangedMessage {
  readonly message: SealedMessage;
  readonly offset: number;
}

const keyOf = ({ roomId, seq }: MessagePlace): string => messageKey(roomId, seq);

/** Whether a replay shows a message that was sent before its cursor with this change of it. */
function isShownBy(
  event: Recorded,
  now: ChangedMessage | undefined,
  last: ReadonlyMap<string, number>,
): boolean {
  // Of a deleted message only the deletion is told.
  if (!now || now.message.deleted) return event.type === 'MessageDeleted';
  const place = changedBy(event);
  return place !== undefined && last.get(keyOf(place)) === event.offset;
}

function withScene(
  event: Recorded,
  members: readonly UserId[],
  changed: ReadonlyMap<string, ChangedMessage>,
): MissedEvent {
  const place = event.type === 'MessageSent' ? event.data : changedBy(event);
  const now = place && changed.get(keyOf(place));
  return { event, scene: now ? { members, message: now.message } : { members } };
}
