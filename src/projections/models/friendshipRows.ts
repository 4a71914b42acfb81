import { friendshipIdOf, streamOf, type UserId } from '../../domain/ids.js';
import type { Time } from '../../domain/shapes.js';
import type { Projection } from '../projection.js';
import { type Model, type RowReader, rowsUnder, valuesOf } from '../store/rowStore.js';

/** Two friends; the key is the stream's name. */
export interface FriendshipRow {
  /** In ascending order. */
  readonly members: readonly [UserId, UserId];
  /** The user who asked. */
  readonly actor: UserId | 'system';
  readonly createdAt: Time;
  /** The offset of its `FriendAdded`. */
  readonly addedAt: number;
}

/**
 * Indexes: `member` holds a user's friendships; `changed` orders those of a user and partition by the last
 * event's offset.
 */
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

/** Folds friendships. */
export const friendshipsProjection: Projection<FriendshipRow> = {
  model: friendshipsModel,
  keys: (event) => (event.type === 'FriendAdded' ? [event.stream] : []),
  evolve(value, event) {
    if (event.type !== 'FriendAdded') return value ?? null;
    const { data, actor, recordedAt: createdAt, offset: addedAt } = event;
    return { members: data.members, actor, createdAt, addedAt };
  },
};

/** The user's friends, a page at a time. */
export async function* friendIds(rows: RowReader, userId: UserId): AsyncGenerator<UserId[]> {
  for await (const page of rowsUnder(rows, friendshipsModel, 'member', userId))
    yield valuesOf(page).flatMap(({ members }) => members.filter((member) => member !== userId));
}

/** Selects the friends of `me` among `others` with one read, however many friends `me` has. */
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
