import { friendshipIdOf, streamOf, type UserId } from '../../events/ids.js';
import type { RowReader } from '../rows.js';
import { rowsUnder, valuesOf } from '../scan.js';
import { friendshipsModel } from './model.js';

/** The user's friends, a page at a time. */
export async function* friendIds(rows: RowReader, userId: UserId): AsyncGenerator<UserId[]> {
  for await (const page of rowsUnder(rows, friendshipsModel, 'member', userId))
    yield valuesOf(page).flatMap(({ members }) => members.filter((member) => member !== userId));
}

/** Those of `others` who are `me`'s friends: one read, however many friends `me` has. */
export async function friendsAmong(
  rows: RowReader,
  me: UserId,
  others: readonly UserId[],
): Promise<Set<UserId>> {
  if (others.length === 0) return new Set();
  const keys = others.map((other) => streamOf('friendship', friendshipIdOf(me, other)));
  const found = await rows.get(friendshipsModel, keys);
  return new Set(valuesOf(found.values()).flatMap(({ members }) => members));
}
