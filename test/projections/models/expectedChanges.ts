import { type Audience, isStoredPush } from '../../../src/domain/defineEvent.js';
import {
  changedBy,
  isFor,
  type MessagePlace,
  pushesOf,
  pushesTo,
  type Recorded,
} from '../../../src/domain/events.js';
import type { Period } from '../../../src/domain/groups/groupState.js';
import { isGroupId, parseStream, type StreamName, type UserId } from '../../../src/domain/ids.js';

/** Whether the user gets the push of an event of a room. */
const gets = (events: readonly Recorded[], event: Recorded, userId: UserId): boolean =>
  pushesTo(userId, event, {
    members: membersOf(events, event.stream),
    periods: periodsOf(events, event.stream, userId),
  }).length > 0;

/** Whether a message was sent to the user above an offset. */
const isSentAbove = (
  events: readonly Recorded[],
  { roomId, seq }: MessagePlace,
  above: number,
  userId: UserId,
): boolean =>
  events.some(
    (event) =>
      event.type === 'MessageSent' &&
      event.data.roomId === roomId &&
      event.data.seq === seq &&
      event.offset > above &&
      gets(events, event, userId),
  );

/**
 * The push of an event that changes a message, if a replay of this range shows the message with it: once, as it is now,
 * unless it was sent to the user within the range.
 */
function shownChange(
  events: readonly Recorded[],
  event: Recorded,
  { above, upTo }: { readonly above: number; readonly upTo: number },
  userId: UserId,
): 'edit message' | 'delete message' | undefined {
  const place = changedBy(event);
  if (!place || isSentAbove(events, place, above, userId)) return undefined;
  const changes = events.filter((one) => {
    const changed = changedBy(one);
    return changed?.roomId === place.roomId && changed.seq === place.seq;
  });
  const isDeleted = changes.some(({ type }) => type === 'MessageDeleted');
  if (isDeleted) return event.type === 'MessageDeleted' ? 'delete message' : undefined;
  const last = changes.findLast((one) => one.offset <= upTo && gets(events, one, userId));
  return last?.offset === event.offset ? 'edit message' : undefined;
}

/** The members of a pair, who never change, or of a group. Empty for another stream, or a room without a chat. */
export function membersOf(events: readonly Recorded[], stream: StreamName): Audience {
  const { kind, id } = parseStream(stream);
  if (kind === 'room' && isGroupId(id)) return { group: id };
  const created = events.find((event) => event.stream === stream && event.type === 'RoomCreated');
  return created?.type === 'RoomCreated' ? created.data.members : [];
}

/** When somebody was a member of a group, by its events alone. */
export function periodsOf(events: readonly Recorded[], stream: string, userId: UserId): Period[] {
  const periods: Period[] = [];
  for (const event of events) {
    if (event.stream !== stream) continue;
    if (event.type === 'MemberJoined' && event.data.userId === userId) {
      const { from, at } = event.data;
      periods.push({ from, to: null, joined: event.offset, left: null, at });
    } else if (event.type === 'MemberLeft' && event.data.userId === userId) {
      const last = periods.pop();
      if (last) periods.push({ ...last, to: event.data.upTo, left: event.offset });
    }
  }
  return periods;
}

/** A stored push by its offset and event. */
export type ChangeName = readonly [offset: number, event: string];

/**
 * The pushes that a replay must send to a user, by stream. Includes all pushes within the range, but only the
 * newest read mark of each member. A mark whose newest push lies beyond the range is left out, and so are the marks of
 * others who have `receipts` off by now, which may be after the range.
 */
export function expectedChanges(
  events: readonly Recorded[],
  userId: UserId,
  { partition, above, upTo }: { partition: number; above: number; upTo: number },
): Record<string, ChangeName[]> {
  const newestRead = new Map<string, number>();
  const receipts = new Map<string, boolean>();
  for (const event of events)
    if (event.type === 'PreferencesChanged') receipts.set(event.data.userId, event.data.receipts);
    else if (event.type === 'ChatChanged')
      newestRead.set(`${event.stream}/${event.data.roomId}`, event.offset);
    else if (event.type === 'MessagesRead')
      newestRead.set(`${event.stream}/${event.data.userId}`, event.offset);
  const streams: Record<string, ChangeName[]> = {};
  for (const event of events) {
    if (event.partition !== partition || event.offset <= above || event.offset > upTo) continue;
    const of =
      event.type === 'MessagesRead'
        ? event.data.userId
        : event.type === 'ChatChanged'
          ? event.data.roomId
          : undefined;
    const isOld = of !== undefined && newestRead.get(`${event.stream}/${of}`) !== event.offset;
    if (isOld) continue;
    if (of !== undefined && of !== userId && receipts.get(of) === false) continue;
    const periods = periodsOf(events, event.stream, userId);
    const shown = shownChange(events, event, { above, upTo }, userId);
    if (changedBy(event) && !shown) continue;
    const members = membersOf(events, event.stream);
    for (const push of pushesOf(event, { members })) {
      if (!isStoredPush(push) || !isFor(userId, push, event.offset, periods)) continue;
      const given = streams[event.stream] ?? [];
      given.push([event.offset, shown ?? push.name]);
      streams[event.stream] = given;
    }
  }
  return streams;
}
