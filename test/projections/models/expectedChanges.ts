import { type Audience, isStoredPush } from '../../../src/domain/defineEvent.js';
import { isFor, pushesOf, pushesTo, type Recorded } from '../../../src/domain/events.js';
import type { Period } from '../../../src/domain/groups/groupState.js';
import { isGroupId, parseStream, type StreamName, type UserId } from '../../../src/domain/ids.js';

/** Whether a deleted message was sent to the user above an offset. */
const isSentAbove = (
  events: readonly Recorded[],
  deleted: Recorded<'MessageDeleted'>,
  above: number,
  userId: UserId,
): boolean =>
  events.some(
    (event) =>
      event.type === 'MessageSent' &&
      event.stream === deleted.stream &&
      event.data.seq === deleted.data.seq &&
      event.offset > above &&
      pushesTo(userId, event, {
        members: membersOf(events, event.stream),
        periods: periodsOf(events, event.stream, userId),
      }).length > 0,
  );

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
 * newest read mark of each member. A mark whose newest push lies beyond the range is left out.
 */
export function expectedChanges(
  events: readonly Recorded[],
  userId: UserId,
  { partition, above, upTo }: { partition: number; above: number; upTo: number },
): Record<string, ChangeName[]> {
  const newestRead = new Map<string, number>();
  for (const event of events)
    if (event.type === 'MessagesRead') newestRead.set(`${event.stream}/${event.data.userId}`, event.offset);
  const streams: Record<string, ChangeName[]> = {};
  for (const event of events) {
    if (event.partition !== partition || event.offset <= above || event.offset > upTo) continue;
    const isOld =
      event.type === 'MessagesRead' &&
      newestRead.get(`${event.stream}/${event.data.userId}`) !== event.offset;
    if (isOld) continue;
    // The message comes as it is now.
    const periods = periodsOf(events, event.stream, userId);
    if (event.type === 'MessageDeleted' && isSentAbove(events, event, above, userId)) continue;
    const members = membersOf(events, event.stream);
    for (const push of pushesOf(event, { members })) {
      if (!isStoredPush(push) || !isFor(userId, push, event.offset, periods)) continue;
      const given = streams[event.stream] ?? [];
      given.push([event.offset, push.name]);
      streams[event.stream] = given;
    }
  }
  return streams;
}
