import { isStoredPush } from '../../../src/domain/defineEvent.js';
import { changedBy, isFor, type MessagePlace, pushesOf, type Recorded } from '../../../src/domain/events.js';
import type { UserId } from '../../../src/domain/ids.js';

/** Whether a message was sent above an offset. */
const isSentAbove = (events: readonly Recorded[], { roomId, seq }: MessagePlace, above: number) =>
  events.some(
    ({ type, data, offset }) =>
      type === 'MessageSent' && data.roomId === roomId && data.seq === seq && offset > above,
  );

/**
 * The push of an event that changes a message, if a replay of this range shows the message with it: once, as it is now,
 * unless it was sent within the range.
 */
function shownChange(
  events: readonly Recorded[],
  event: Recorded,
  { above, upTo }: { readonly above: number; readonly upTo: number },
): 'edit message' | 'delete message' | undefined {
  const place = changedBy(event);
  if (!place || isSentAbove(events, place, above)) return undefined;
  const changes = events.filter((one) => {
    const changed = changedBy(one);
    return changed?.roomId === place.roomId && changed.seq === place.seq;
  });
  const isDeleted = changes.some(({ type }) => type === 'MessageDeleted');
  if (isDeleted) return event.type === 'MessageDeleted' ? 'delete message' : undefined;
  return changes.findLast(({ offset }) => offset <= upTo)?.offset === event.offset
    ? 'edit message'
    : undefined;
}

/** The members of a room; of a pair they never change. Empty for another stream, or a room without a chat. */
export function membersOf(events: readonly Recorded[], stream: string): readonly UserId[] {
  const created = events.find((event) => event.stream === stream && event.type === 'RoomCreated');
  return created?.type === 'RoomCreated' ? created.data.members : [];
}

/** A stored push by its offset and event. */
export type ChangeName = readonly [offset: number, event: string];

/**
 * The pushes that a replay must send to a user, by stream. Includes all pushes within the range, but only the
 * newest read mark of each member. A mark whose newest push lies beyond the range is left out.
 */
export function expectedChanges(
  events: readonly Recorded[],
  userId: UserId,
  { partition, above, upTo }: { partition: number; above: number; upTo: number },
): Record<string, ChangeName[]> {
  const newestRead = new Map<string, number>();
  for (const event of events)
    if (event.type === 'ChatChanged') newestRead.set(`${event.stream}/${event.data.roomId}`, event.offset);
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
    const shown = shownChange(events, event, { above, upTo });
    if (changedBy(event) && !shown) continue;
    const members = membersOf(events, event.stream);
    for (const push of pushesOf(event, { members })) {
      if (!isStoredPush(push) || !isFor(userId, push, event.offset, [])) continue;
      const given = streams[event.stream] ?? [];
      given.push([event.offset, shown ?? push.name]);
      streams[event.stream] = given;
    }
  }
  return streams;
}
