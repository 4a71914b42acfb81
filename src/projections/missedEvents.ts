import { LRUCache } from 'lru-cache';
import type { Scene, SealedMessage } from '../domain/defineEvent.js';
import { changedBy, type MessagePlace, pushesTo, type Recorded } from '../domain/events.js';
import { wasSent } from '../domain/groups/groupState.js';
import { parseStream, type StreamName, type UserId } from '../domain/ids.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import { partitionOf } from '../log/log.js';
import { chatsModel } from './models/chatRows.js';
import { chatSettingsModel } from './models/chatSettingRows.js';
import { preferencesOf } from './models/contacts.js';
import { asOfOffset } from './models/editsAndMentions.js';
import { groupRows, isGroupStream } from './models/groupRows.js';
import {
  lastLeft,
  membershipIn,
  membershipOf,
  periodsOf,
  type ReadOffsets,
  toldOffset,
} from './models/membershipRows.js';
import { messageKey } from './models/messageKeys.js';
import { messageOf, messagesModel } from './models/messageRows.js';
import {
  indexedEvents,
  type MissedEvent,
  type MissedEvents,
  type OffsetRange,
} from './models/streamIndex.js';
import { elementAt, type RowReader } from './store/rowStore.js';

/** The parts of the log that a replay reads. */
export type ReplayedLog = LogSource & { readonly partitions: number };

/** Remembered places of offsets. A place never changes: the log only grows. */
const MAX_PLACES = 10_000;

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
  /** The offset of the newest mark with this key that the user is told of. */
  readonly newestMark: (key: string) => Promise<number | null | undefined>;
  readonly changedAt: number;
  /** Whether a message was pushed to the user when it was sent. */
  readonly wasSent: (seq: number) => boolean;
  /** Nothing behind this offset is for the user. */
  readonly upTo: number;
}

function seenIn(rows: RowReader, userId: UserId, stream: StreamName): Promise<Seen> | Seen {
  if (parseStream(stream).kind === 'user') return seenByUser(rows);
  return isGroupStream(stream) ? seenInGroup(rows, userId, stream) : seenInPair(rows, userId, stream);
}

/** Of a user's own stream: of what was set of a chat, only the newest. */
const seenByUser = (rows: RowReader): Seen => ({
  scene: { members: nobody },
  newestMark: async (key) => (await rows.get(chatSettingsModel, [key])).get(key)?.offset,
  changedAt: -1,
  wasSent: () => true,
  upTo: Number.POSITIVE_INFINITY,
});

async function seenInPair(rows: RowReader, userId: UserId, stream: StreamName): Promise<Seen> {
  const pair = (await rows.get(chatsModel, [stream])).get(stream)?.value ?? undefined;
  return {
    scene: { members: pair?.members ?? nobody },
    newestMark: newestMarks(rows, userId, async (member) => pair?.reads[member]),
    changedAt: pair?.changedAt ?? -1,
    wasSent: () => true,
    upTo: Number.POSITIVE_INFINITY,
  };
}

async function seenInGroup(rows: RowReader, userId: UserId, stream: StreamName): Promise<Seen> {
  const { id } = parseStream(stream);
  const [membership, groups] = await Promise.all([membershipOf(rows, id, userId), groupRows(rows, [id])]);
  return {
    scene: { members: { group: id }, periods: membership ? periodsOf(membership) : [] },
    newestMark: newestMarks(rows, userId, async (member) => (await membershipOf(rows, id, member))?.read),
    changedAt: groups.get(id)?.changedAt ?? -1,
    wasSent: (seq) => wasSent(membership ? periodsOf(membership) : [], seq),
    upTo: membership && !membership.role ? lastLeft(membership) : Number.POSITIVE_INFINITY,
  };
}

/** Looks up the newest marks that the user is told of: of others none if they have `receipts` off by now. */
function newestMarks(
  rows: RowReader,
  userId: UserId,
  readOf: (member: UserId) => Promise<ReadOffsets | undefined>,
): Seen['newestMark'] {
  const marks = new Map<string, Promise<number | null | undefined>>();
  const find = async (key: string) => {
    // The keys of these pushes are those of memberships.
    const { userId: member } = membershipIn(key);
    if (member === userId) return (await readOf(member))?.offset;
    const preferences = (await preferencesOf(rows, [member])).get(member);
    return preferences?.receipts === false ? undefined : toldOffset(await readOf(member));
  };
  return (key) => {
    const mark = marks.get(key) ?? find(key);
    marks.set(key, mark);
    return mark;
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
