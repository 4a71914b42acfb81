import { isFor, pushesOf, type Recorded } from '../../../src/domain/events.js';
import type { UserId } from '../../../src/domain/ids.js';

/** Whether a deleted message was sent above an offset. */
const isSentAbove = (events: readonly Recorded[], deleted: Recorded<'MessageDeleted'>, above: number) =>
  events.some(
    ({ type, data, stream, offset }) =>
      type === 'MessageSent' && stream === deleted.stream && data.seq === deleted.data.seq && offset > above,
  );

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
    if (event.type === 'MessagesRead') newestRead.set(`${event.stream}/${event.data.userId}`, event.offset);
  const streams: Record<string, ChangeName[]> = {};
  for (const event of events) {
    if (event.partition !== partition || event.offset <= above || event.offset > upTo) continue;
    const isOld =
      event.type === 'MessagesRead' &&
      newestRead.get(`${event.stream}/${event.data.userId}`) !== event.offset;
    if (isOld) continue;
    // The message comes as it is now.
    if (event.type === 'MessageDeleted' && isSentAbove(events, event, above)) continue;
    const members = membersOf(events, event.stream);
    for (const push of pushesOf(event, { members })) {
      if ('about' in push || !isFor(userId, push, event.offset, [])) continue;
      const given = streams[event.stream] ?? [];
      given.push([event.offset, push.name]);
      streams[event.stream] = given;
    }
  }
  return streams;
}
