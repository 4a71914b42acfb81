import { LRUCache } from 'lru-cache';
import type { SealedMessage } from '../domain/defineEvent.js';
import { pushesTo, type Recorded } from '../domain/events.js';
import { type StreamName, streamOf, type UserId } from '../domain/ids.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import { partitionOf } from '../log/log.js';
import { type ChatRow, chatsModel, isMember, toldOffset } from './models/chatRows.js';
import { messageKey, messageOf, messagesModel } from './models/messageRows.js';
import { preferencesOf } from './models/preferenceRows.js';
import {
  type ChangedStream,
  indexedEvents,
  type MissedEvent,
  type MissedEvents,
  type OffsetRange,
  statesModel,
} from './models/streamIndex.js';
import { findChecked, type RowReader } from './store/rowStore.js';

/** The parts of the log that a replay reads. */
export type ReplayedLog = LogSource & { readonly partitions: number };

/** Remembered places of offsets. A place never changes: the log only grows. */
const MAX_PLACES = 10_000;

/**
 * The user's streams of a partition whose row lies above an offset, by key, from behind `after`: those of pairs, then the
 * user's own.
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
  const found = await findChecked(rows, chatsModel, 'changed', {
    find: { terms, above, limit, ...from },
    isWanted: (row) =>
      row.partition === partition && row.offset > above && row.value !== null && isMember(row.value, userId),
  });
  const changed = found.map(({ key }) => ({ key }));
  const own = streamOf('user', userId);
  // A full page is not the last one. Names of users' streams come behind those of rooms.
  if (changed.length === limit || (after !== undefined && after >= own)) return changed;
  const row = (await rows.get(statesModel, [own])).get(own);
  return row && row.partition === partition && row.offset > above ? [...changed, { key: own }] : changed;
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
    const seen = {
      user: userId,
      members: pair?.members ?? [],
      newest: await this.#newestMarks(pair, userId),
    };
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
    const [changed, firstSeq] = await Promise.all([
      this.#changedMessages(events),
      this.#firstSeqAbove(since, partition, stream),
    ]);
    const once = events.map((event) =>
      // The replay has sent the message already, as it is now.
      event.type === 'MessageDeleted' && event.data.seq >= firstSeq
        ? { event, scene: { members: nobody } }
        : withScene(event, seen.members, changed),
    );
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
  async #changedMessages(events: readonly Recorded[]): Promise<ReadonlyMap<string, SealedMessage>> {
    const keys = events.flatMap((event) => messageKeyOf(event) ?? []);
    const found = await this.rows.get(messagesModel, keys);
    const messages = [...found.values()].flatMap((row) => messageOf(row) ?? []);
    const changed = messages.filter(({ deleted }) => deleted !== undefined);
    return new Map(changed.map((message) => [messageKey(message.roomId, message.seq), message]));
  }

  /**
   * By the key of a read mark's push, the offset of the newest one that the user is told of. Others' marks are not told
   * if their reader has `receipts` off by now.
   */
  async #newestMarks(pair: ChatRow | undefined, userId: UserId): Promise<ReadonlyMap<string, number | null>> {
    const reads = Object.entries(pair?.reads ?? {});
    const others = reads.flatMap(([member]) => (member === userId ? [] : [member]));
    const preferences = await preferencesOf(this.rows, others);
    return new Map(
      reads.map(([member, read]) => {
        const isHidden = preferences.get(member)?.receipts === false;
        const offset = member === userId ? read.offset : isHidden ? null : toldOffset(read);
        return [`${pair?.roomId}/${member}`, offset];
      }),
    );
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

interface Seen {
  readonly user: UserId;
  readonly members: readonly UserId[];
  readonly newest: ReadonlyMap<string, number | null>;
}

const isMissed = (event: Recorded, { user, members, newest }: Seen): boolean =>
  pushesTo(user, event, { members }).some(
    ({ onlyNewest }) => onlyNewest === undefined || newest.get(onlyNewest) === event.offset,
  );

const messageKeyOf = (event: Recorded): string | undefined =>
  event.type === 'MessageSent' ? messageKey(event.data.roomId, event.data.seq) : undefined;

function withScene(
  event: Recorded,
  members: readonly UserId[],
  changed: ReadonlyMap<string, SealedMessage>,
): MissedEvent {
  const message = changed.get(messageKeyOf(event) ?? '');
  return { event, scene: message ? { members, message } : { members } };
}
