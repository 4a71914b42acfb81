import type { UserId } from '../events/ids.js';

/** Two users in ascending order, as events name them. */
export const pairOf = (a: UserId, b: UserId): readonly [UserId, UserId] => (a < b ? [a, b] : [b, a]);
