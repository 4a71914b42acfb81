import { parseStream, type StreamName, streamOf, type UserId } from '../domain/ids.js';
import { chatsModel, isMember } from './models/chatRows.js';
import { groupRows } from './models/groupRows.js';
import { lastLeft, membershipIn, membershipsOf } from './models/membershipRows.js';
import { type ChangedStream, statesModel } from './models/streamIndex.js';
import { findChecked, type RowReader } from './store/rowStore.js';

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
  const own = streamOf('user', userId);
  // A full page is not the last one. Names of users' streams come behind those of rooms.
  if (keys.length < limit && (after === undefined || after < own)) {
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
  const last = after === undefined ? undefined : parseStream(after as StreamName);
  // Behind the user's own stream is no room's.
  if (last?.kind === 'user') return [];
  const behind = last?.id;
  const mine = (await membershipsOf(rows, userId, behind)).filter(
    (row) => row.partition === partition && row.value && (row.value.role || lastLeft(row.value) > above),
  );
  const rooms = mine.map(({ key }) => membershipIn(key).roomId);
  const found = await groupRows(rows, rooms);
  const changed = rooms.filter((room) => (found.get(room)?.offset ?? -1) > above);
  return changed.map((room) => streamOf('room', room));
}
