import { friendshipIdOf, streamOf, type UserId } from '../../domain/ids.js';
import type { Time, User } from '../../domain/shapes.js';
import type { Projection } from '../projection.js';
import { type Model, type RowReader, rowsUnder, valuesOf } from '../store/rowStore.js';
import { presentUsers, type Source } from './chatViews.js';
import { ERASED, type UserRow, usersModel } from './userModels.js';

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

/** The user's friends, a page at a time. */
export async function* friendIds(rows: RowReader, userId: UserId): AsyncGenerator<UserId[]> {
  for await (const page of rowsUnder(rows, friendshipsModel, 'member', userId))
    yield valuesOf(page).flatMap(({ members }) => members.filter((member) => member !== userId));
}

/** Those of `others` who are `me`'s friends: one read, however many friends `me` has. */
async function friendsAmong(rows: RowReader, me: UserId, others: readonly UserId[]): Promise<Set<UserId>> {
  if (others.length === 0) return new Set();
  const keys = others.map((other) => streamOf('friendship', friendshipIdOf(me, other)));
  const found = await rows.get(friendshipsModel, keys);
  return new Set(valuesOf(found.values()).flatMap(({ members }) => members));
}

// What a name is made of; anything else is part of none, and must not meet the `^` of the terms.
const NAME_PART = /^[A-Za-z0-9_.-]+$/;
const PAGE = 100;
// A search looks at no more rows than this, whoever is left out of them.
const PAGES = 20;

/**
 * Users with `q` as any part of their name, case-insensitive and literal: exact, then prefix, then the rest.
 * Without `me`, `me`'s friends and erased users. At most `limit`.
 */
export async function searchUsers(source: Source, me: UserId, q: string, limit: number): Promise<User[]> {
  if (!NAME_PART.test(q)) return [];
  const found: User[] = [];
  const seen = new Set<UserId>([me]);
  for await (const page of candidates(source.rows, q.toLowerCase())) {
    const unseen = page.filter((user) => !seen.has(user.userId));
    for (const { userId } of unseen) seen.add(userId);
    const friends = await friendsAmong(
      source.rows,
      me,
      unseen.map((user) => user.userId),
    );
    const strangers = unseen.filter((user) => !friends.has(user.userId));
    const users = await presentUsers(source.open, strangers);
    found.push(...users.filter((user) => user.erased !== true));
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

/** Those who have been erased, with the names that can be opened all the same, a page at a time. */
export async function* openedErased({ rows, open }: Source): AsyncGenerator<Map<UserId, string>> {
  for await (const page of rowsUnder(rows, usersModel, 'erased', ERASED)) {
    const users = valuesOf(page);
    const names = await open.usernames(users);
    yield new Map(users.flatMap(({ userId }, i) => (names[i] ? [[userId, names[i]]] : [])));
  }
}

// Of all terms that begin with `^q` the exact name's is the shortest, hence the first.
async function* candidates(rows: RowReader, q: string): AsyncGenerator<UserRow[]> {
  let pages = 0;
  for (const prefix of [`^${q}`, q]) {
    let from: { term: string; key: string } | undefined;
    while (pages++ < PAGES) {
      const page = await rows.findPrefix(usersModel, 'suffix', prefix, PAGE, from);
      const last = page.at(-1);
      if (last === undefined) break;
      yield valuesOf(page.map((hit) => hit.row));
      from = { term: last.term, key: last.row.key };
    }
  }
}
