import { randomUUID } from 'node:crypto';
import type { CommandRouter, Moment } from '../commands/commands.js';
import { ParleyError } from '../errors.js';
import {
  parseStream,
  partitionOf,
  type RoomId,
  type StreamName,
  streamOf,
  type UserId,
} from '../events/ids.js';
import type { EventLog } from '../log/log.js';
import type { Queries } from '../projections/queries.js';

/** Rooms of a page, and commands under way at once. */
const PAGE = 100;

export interface RoomParts {
  readonly commands: CommandRouter;
  readonly queries: Pick<Queries, 'changedStreams'>;
  readonly log: Pick<EventLog, 'partitions' | 'tail'>;
}

/**
 * Marks the user erased in each of their rooms. To be called when every reader of users sees that they are: then no
 * room with them is made any more, but by what was decided before; and a writer answers only when all that it decided
 * before is in the log. Gives the moments behind which no room holds anything new of the user.
 */
export async function leaveRooms(userId: UserId, parts: RoomParts): Promise<Moment[]> {
  const partitions = Array.from({ length: parts.log.partitions }, (_, partition) => partition);
  return Promise.all(
    partitions.map(async (partition) => {
      await passWriter(partition, userId, parts);
      const size = (await parts.log.tail(partition))?.size ?? 0;
      return leaveRoomsOf({ partition, size }, userId, parts);
    }),
  );
}

/** Resolves when the partition's writer has appended what it had decided by now. */
async function passWriter(partition: number, userId: UserId, { commands, log }: RoomParts): Promise<void> {
  // A room that nobody has: nothing is changed by asking.
  let roomId = randomUUID();
  while (partitionOf(streamOf('room', roomId), log.partitions) !== partition) roomId = randomUUID();
  await eraseMember(roomId, userId, commands);
}

/** Of one partition; the last moment of it. */
async function leaveRoomsOf(at: Moment, userId: UserId, { queries, commands }: RoomParts): Promise<Moment> {
  let last = at;
  for (let after: string | undefined; ; ) {
    const page = { limit: PAGE, ...(after === undefined ? {} : { after }) };
    const streams = await queries.changedStreams(userId, at.partition, -1, page, [at]);
    const moments = await Promise.all(roomsAmong(streams).map((room) => eraseMember(room, userId, commands)));
    for (const moment of moments) if (moment && moment.size > last.size) last = moment;
    after = streams.at(-1)?.key;
    if (streams.length < PAGE) return last;
  }
}

/** Undefined: there is no such room. */
async function eraseMember(
  roomId: RoomId,
  userId: UserId,
  commands: CommandRouter,
): Promise<Moment | undefined> {
  try {
    const command = { kind: 'erase member', roomId, userId } as const;
    return (await commands.execute<'erase member'>(command, randomUUID())).moment;
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function roomsAmong(streams: readonly { readonly key: string }[]): RoomId[] {
  // A replay's keys are stream names.
  const parsed = streams.map(({ key }) => parseStream(key as StreamName));
  return parsed.flatMap(({ kind, id }) => (kind === 'room' ? [id] : []));
}
