import type { UserId } from '../../events/ids.js';
import type { OnlineInfo } from '../../events/schemas.js';
import type { RowReader } from '../rows.js';
import { ONLINE, presenceModel } from './model.js';

/** Of each user asked for: offline with `lastSeen: null` if never seen. */
export async function presenceOf(rows: RowReader, ids: readonly UserId[]): Promise<Map<UserId, OnlineInfo>> {
  const found = ids.length === 0 ? undefined : await rows.get(presenceModel, ids);
  return new Map(ids.map((id) => [id, found?.get(id)?.value ?? { isOnline: false, lastSeen: null }]));
}

/** A page of those who are online, by id, from behind `after`. */
export async function onlineUsers(rows: RowReader, limit: number, after?: UserId): Promise<UserId[]> {
  const found = await rows.find(presenceModel, 'online', {
    terms: [ONLINE],
    byKey: true,
    limit,
    ...(after === undefined ? {} : { from: { sort: 0, key: after } }),
  });
  return found.map(({ key }) => key);
}
