import { LRUCache } from 'lru-cache';
import type { Scene, SealedMessage } from '../domain/defineEvent.js';
import { changedBy, type MessagePlace, pushesTo, type Recorded } from '../domain/events.js';
import { wasSent } from '../domain/groups/groupState.js';
import { parseStream, type StreamName, streamOf, type UserId } from '../domain/ids.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import { partitionOf } from '../log/log.js';
import { chatsModel, isMember } from './models/chatRows.js';
import { chatSettingsModel } from './models/chatSettingRows.js';
import { asOfOffset } from './models/editsAndMentions.js';
import { groupRows, isGroupStream } from './models/groupRows.js';
import {
  type MembershipRow,
  membershipIn,
  membershipOf,
  membershipsModel,
  membershipsOf,
  periodsOf,
} from './models/membershipRows.js';
import { messageKey } from './models/messageKeys.js';
import { messageOf, messagesModel } from './models/messageRows.js';
import {
  type ChangedStream,
  indexedEvents,
  type MissedEvent,
  type MissedEvents,
  type OffsetRange,
  statesModel,
} from './models/streamIndex.js';
import { elementAt, findChecked, type RowReader } from './store/rowStore.js';

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
  const own = streamOf('user', userId);
  // Names of users' streams come behind those of rooms.
  if (after !== undefined && after >= own) return [];
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
  const keys: string[] = [...pairs.map(({ key }) => key), ...groups].sort();
  // A full page is not the last one.
  if (keys.length < limit) {
    const row = (await rows.get(statesModel, [own])).get(own);
    if (row && row.partition === partition && row.offset > above) keys.push(own);
  }
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
      seenIn(this.rows, userId, stream),
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
    const now = await this.#messagesSeen(events, seen.upTo);
    const firstSeq = await this.#firstSeqAbove(since, partition, stream);
    const within = {
      partition,
      stream,
      upTo: Math.min(upTo, seen.upTo),
      isGroup: scene.periods !== undefined,
    };
    const last = await this.#lastChanges(events, now, within, (event) => isMissed(userId, event, seen));
    const once = events.map((event) => {
      const place = changedBy(event);
      if (!place) return withScene(event, scene, now);
      // A message comes once, as it is now: when it was sent, or with the last of its changes.
      const isShown =
        (place.seq < firstSeq || !seen.wasSent(place.seq)) && isShownBy(event, now.get(keyOf(place)), last);
      return isShown ? withScene(event, scene, now) : { event, scene: { members: nobody } };
    });
    return { events: once, hasMore };
  }

  /** As `#messagesNow`, with the texts of then for who has left at this offset. */
  async #messagesSeen(
    events: readonly Recorded[],
    leftAt: number,
  ): Promise<ReadonlyMap<string, ChangedMessage>> {
    const now = await this.#messagesNow(events);
    if (leftAt === Number.POSITIVE_INFINITY || now.size === 0) return now;
    const found = [...now.values()];
    const seen = await asOfOffset(
      this.rows,
      found.map(({ message }) => message),
      leftAt,
    );
    return new Map(
      [...now.keys()].map((key, i) => [key, { ...elementAt(found, i), message: elementAt(seen, i) }]),
    );
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
   * By key, the offset of the last change up to `upTo` of each message among these events that is for the user. The row
   * says it, unless the message was changed behind `upTo` too, or while the user was no member: then the log does.
   */
  async #lastChanges(
    events: readonly Recorded[],
    now: ReadonlyMap<string, ChangedMessage>,
    { partition, stream, upTo, isGroup }: ChangedWithin,
    isForUser: (event: Recorded) => Promise<boolean>,
  ): Promise<ReadonlyMap<string, number>> {
    const last = new Map<string, number>();
    let isOpen = false;
    const shown = new Set(events.map(({ offset }) => offset));
    const end = events.at(-1)?.offset ?? upTo;
    for (const event of events) {
      const place = changedBy(event);
      if (!place) continue;
      const offset = now.get(keyOf(place))?.offset ?? event.offset;
      const isKnown = shown.has(offset) || (!isGroup && offset <= upTo);
      if (!isKnown) isOpen = true;
      last.set(keyOf(place), isKnown ? offset : event.offset);
    }
    if (!isOpen) return last;
    const after = await this.#placeBelow(partition, end);
    for await (const { event } of indexedEvents(this.log, this.rows, { partition, stream, after })) {
      if (event.offset > upTo) break;
      const place = event.offset > end ? changedBy(event) : undefined;
      if (place && last.has(keyOf(place)) && (await isForUser(event))) last.set(keyOf(place), event.offset);
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

/** What a user sees of the events of a room. */
interface Seen {
  readonly scene: Scene;
  /** The offset of the newest mark of the member whose push has this key. */
  readonly newestMark: (key: string) => number | undefined | Promise<number | undefined>;
  readonly changedAt: number;
  /** Whether a message was pushed to the user when it was sent. */
  readonly wasSent: (seq: number) => boolean;
  /** Nothing behind this offset is for the user. */
  readonly upTo: number;
}

function seenIn(rows: RowReader, userId: UserId, stream: StreamName): Promise<Seen> | Seen {
  if (parseStream(stream).kind === 'user') return seenByUser(rows);
  return isGroupStream(stream) ? seenInGroup(rows, userId, stream) : seenInPair(rows, stream);
}

/** Of a user's own stream: of what was set of a chat, only the newest. */
const seenByUser = (rows: RowReader): Seen => ({
  scene: { members: nobody },
  newestMark: async (key) => (await rows.get(chatSettingsModel, [key])).get(key)?.offset,
  changedAt: -1,
  wasSent: () => true,
  upTo: Number.POSITIVE_INFINITY,
});

async function seenInPair(rows: RowReader, stream: StreamName): Promise<Seen> {
  const pair = (await rows.get(chatsModel, [stream])).get(stream)?.value ?? undefined;
  const marks = Object.entries(pair?.reads ?? {});
  const newest = new Map(marks.map(([member, { offset }]) => [`${pair?.roomId}/${member}`, offset]));
  return {
    scene: { members: pair?.members ?? nobody },
    newestMark: (key) => newest.get(key),
    changedAt: pair?.changedAt ?? -1,
    wasSent: () => true,
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
    wasSent: (seq) => wasSent(membership ? periodsOf(membership) : [], seq),
    upTo: membership && !membership.role ? lastLeft(membership) : Number.POSITIVE_INFINITY,
  };
}

async function isMissed(user: UserId, event: Recorded, { scene, newestMark }: Seen): Promise<boolean> {
  for (const { onlyNewest } of pushesTo(user, event, scene))
    if (onlyNewest === undefined || (await newestMark(onlyNewest)) === event.offset) return true;
  return false;
}

/** The part of a stream in which a replay looks for the last change of a message. */
interface ChangedWithin {
  readonly partition: number;
  readonly stream: StreamName;
  readonly upTo: number;
  /** The user may not have been a member at every change. */
  readonly isGroup: boolean;
}

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

function withScene(event: Recorded, scene: Scene, changed: ReadonlyMap<string, ChangedMessage>): MissedEvent {
  const place = event.type === 'MessageSent' ? event.data : changedBy(event);
  const now = place && changed.get(keyOf(place));
  return { event, scene: now ? { ...scene, message: now.message } : scene };
}
