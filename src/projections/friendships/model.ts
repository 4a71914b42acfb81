import type { UserId } from '../../events/ids.js';
import type { Time } from '../../events/types.js';
import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

/** Two friends; the key is the stream's name. */
export interface FriendshipRow {
  /** In ascending order. */
  readonly members: readonly [UserId, UserId];
  /** Who asked. */
  readonly actor: UserId | 'system';
  readonly createdAt: Time;
  /** The offset of its `FriendAdded`. */
  readonly addedAt: number;
}

/** `member`: a user's friendships; `changed`: those of a user and partition, by the offset of the last event. */
export const friendshipsModel: Model<FriendshipRow> = {
  name: 'friendships',
  version: 1,
  indexes: {
    member: ({ value }) => ({ terms: value.members, sort: 0 }),
    changed: ({ value, partition, offset }) => ({
      terms: value.members.map((member) => `${member}/${partition}`),
      sort: offset,
    }),
  },
};

/** The fold of friendships. */
export const friendshipsProjection: Projection<FriendshipRow> = {
  model: friendshipsModel,
  keys: (event) => (event.type === 'FriendAdded' ? [event.stream] : []),
  evolve(value, event) {
    if (event.type !== 'FriendAdded') return value ?? null;
    const { data, actor, recordedAt: createdAt, offset: addedAt } = event;
    return { members: data.members, actor, createdAt, addedAt };
  },
};
