import type { OnlineInfo } from '../../events/schemas.js';
import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

/** The term of the index `online`. */
export const ONLINE = 'online';

/** Who is online, by user id; a user who never was has no row. */
export const presenceModel: Model<OnlineInfo> = {
  name: 'presence',
  version: 1,
  indexes: { online: ({ value }) => (value.isOnline ? { terms: [ONLINE], sort: 0 } : undefined) },
};

/** The fold of presence. */
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
