import { LRUCache } from 'lru-cache';
import type { Scene, SealedMessage } from '../domain/defineEvent.js';
import { pushesTo, type Recorded } from '../domain/events.js';
import { parseStream, type StreamName, streamOf, type UserId } from '../domain/ids.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import { partitionOf } from '../log/log.js';
import { chatsModel, isMember } from './models/chatRows.js';
import { groupRows, isGroupStream } from './models/groupRows.js';
import {
  type MembershipRow,
  membershipIn,
  membershipOf,
  membershipsModel,
  membershipsOf,
  periodsOf,
} from './models/membershipRows.js';
import { messageKey, messageOf, messagesModel } from './models/messageRows.js';
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
  const [pairs, groups] = await Promise.all([
    findChecked(rows, chatsModel, 'changed', {
      find: { terms, above, limit, ...from },
      isWanted: (row) =>
        row.partition === partition &&
        row.offset > above &&
        row.value !== null &&
        isMember(row.value, userId),
    }),
    changedGroups(rows, userId, partition, above, after),
  ]);
  const keys = [...pairs.map(({ key }) => key), ...groups].sort();
  return keys.slice(0, limit).map((key) => ({ key }));
}

/** The user's groups of a partition, behind `after`, in which something may have happened for them above an offset. */
async function changedGroups(
  rows: RowReader,
  userId: UserId,
  partition: number,
  above: number,
  after: string | undefined,
): Promise<StreamName[]> {
  // The key of a stream that was visited is its name.
  const behind = after === undefined ? undefined : parseStream(after as StreamName).id;
  const mine = (await membershipsOf(rows, userId, behind)).filter(
    (row) => row.partition === partition && row.value && (row.value.role || lastLeft(row.value) > above),
  );
  const rooms = mine.map(({ key }) => membershipIn(key).roomId);
  const found = await groupRows(rows, rooms);
  const changed = rooms.filter((room) => (found.get(room)?.offset ?? -1) > above);
  return changed.map((room) => streamOf('room', room));
}

/** The offset at which somebody left who is no member any more. */
const lastLeft = ({ periods }: MembershipRow): number => periods.at(-1)?.[3] ?? -1;

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
    const [after, seen] = await Promise.all([
      this.#placeBelow(partition, above),
      isGroupStream(stream) ? seenInGroup(this.rows, userId, stream) : seenInPair(this.rows, stream),
    ]);
    const { scene } = seen;
    const events: Recorded[] = [];
    let hasMore = false;
    for await (const { event, position } of indexedEvents(this.log, this.rows, {
      partition,
      stream,
      after,
    })) {
      if (event.offset > Math.min(upTo, seen.upTo)) break;
      if (event.offset <= above || !(await isMissed(userId, event, seen))) continue;
      if (events.length === limit) {
        // The next page begins above the last event of this one, in this commit or behind it.
        this.#places.set(`${partition}/${events.at(-1)?.offset}`, position - 1);
        hasMore = true;
        break;
      }
      events.push(event);
    }
    const isAsSent = seen.changedAt <= since;
    if (isAsSent) return { events: events.map((event) => withScene(event, scene, nothing)), hasMore };
    const [changed, firstSeq] = await Promise.all([
      this.#changedMessages(events),
      this.#firstSeqAbove(since, partition, stream),
    ]);
    const once = events.map((event) =>
      // The replay has sent the message already, as it is now.
      event.type === 'MessageDeleted' && event.data.seq >= firstSeq
        ? { event, scene: { members: nobody } }
        : withScene(event, scene, changed),
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

/** What a user sees of the events of a room. */
interface Seen {
  readonly scene: Scene;
  /** The offset of the newest mark of the member whose push has this key. */
  readonly newestMark: (key: string) => number | undefined | Promise<number | undefined>;
  readonly changedAt: number;
  /** Nothing behind this offset is for the user. */
  readonly upTo: number;
}

async function seenInPair(rows: RowReader, stream: StreamName): Promise<Seen> {
  const pair = (await rows.get(chatsModel, [stream])).get(stream)?.value ?? undefined;
  const marks = Object.entries(pair?.reads ?? {});
  const newest = new Map(marks.map(([member, { offset }]) => [`${pair?.roomId}/${member}`, offset]));
  return {
    scene: { members: pair?.members ?? nobody },
    newestMark: (key) => newest.get(key),
    changedAt: pair?.changedAt ?? -1,
    upTo: Number.POSITIVE_INFINITY,
  };
}

async function seenInGroup(rows: RowReader, userId: UserId, stream: StreamName): Promise<Seen> {
  const { id } = parseStream(stream);
  const [membership, groups] = await Promise.all([membershipOf(rows, id, userId), groupRows(rows, [id])]);
  // The keys of these pushes are those of memberships. In a large group there are marks of the user alone.
  const marks = new Map<string, Promise<number | undefined>>();
  const readMark = async (key: string) => (await rows.get(membershipsModel, [key])).get(key)?.value?.read;
  return {
    scene: { members: { group: id }, periods: membership ? periodsOf(membership) : [] },
    newestMark(key) {
      const mark = marks.get(key) ?? readMark(key);
      marks.set(key, mark);
      return mark;
    },
    changedAt: groups.get(id)?.changedAt ?? -1,
    upTo: membership && !membership.role ? lastLeft(membership) : Number.POSITIVE_INFINITY,
  };
}

async function isMissed(user: UserId, event: Recorded, { scene, newestMark }: Seen): Promise<boolean> {
  for (const { onlyNewest } of pushesTo(user, event, scene))
    if (onlyNewest === undefined || (await newestMark(onlyNewest)) === event.offset) return true;
  return false;
}

const messageKeyOf = (event: Recorded): string | undefined =>
  event.type === 'MessageSent' ? messageKey(event.data.roomId, event.data.seq) : undefined;

function withScene(event: Recorded, scene: Scene, changed: ReadonlyMap<string, SealedMessage>): MissedEvent {
  const message = changed.get(messageKeyOf(event) ?? '');
  return { event, scene: message ? { ...scene, message } : scene };
}
