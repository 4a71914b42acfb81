import type { UserId } from '../../domain/ids.js';
import type { OnlineInfo } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { findChecked, type Model, type RowReader } from '../store/rowStore.js';

/** The only term of the index `online`. */
const ONLINE = 'online';

/** Presence by user id; a user who was never online has no row. */
export const presenceModel: Model<OnlineInfo> = {
  name: 'presence',
  version: 1,
  indexes: { online: ({ value }) => (value.isOnline ? { terms: [ONLINE], sort: 0 } : undefined) },
};

/** Folds presence. */
export const presenceProjection: Projection<OnlineInfo> = {
  model: presenceModel,
  keys(event) {
    const isPresence = event.type === 'UserWentOnline' || event.type === 'UserWentOffline';
    return isPresence ? [event.data.userId] : [];
  },
  evolve(value, event) {
    if (event.type === 'UserWentOnline') return { isOnline: true, lastSeen: null };
    if (event.type === 'UserWentOffline') return { isOnline: false, lastSeen: event.data.lastSeen };
    return value ?? null;
  },
};

/** Presence of each user asked for; offline with `lastSeen: null` if never seen. */
export async function presenceOf(rows: RowReader, ids: readonly UserId[]): Promise<Map<UserId, OnlineInfo>> {
  const found = ids.length === 0 ? undefined : await rows.get(presenceModel, ids);
  return new Map(ids.map((id) => [id, found?.get(id)?.value ?? { isOnline: false, lastSeen: null }]));
}

/** A page of the users who are online, by id, behind `after`. */
export async function onlineUsers(rows: RowReader, limit: number, after?: UserId): Promise<UserId[]> {
  const online = await findChecked(rows, presenceModel, 'online', {
    find: { terms: [ONLINE], limit, ...(after === undefined ? {} : { from: { sort: 0, key: after } }) },
    isWanted: ({ value }) => value?.isOnline === true,
  });
  return online.map(({ key }) => key);
}
