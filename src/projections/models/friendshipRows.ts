import type { Time } from '../../domain/fields.js';
import { friendshipIdOf, streamOf, type UserId } from '../../domain/ids.js';
import type { User } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { type Model, type RowReader, rowsUnder, valuesOf } from '../store/rowStore.js';
import { openUsers, type UserRow, usersById, usersModel, type ViewSource } from './userRows.js';

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
async function friendsAmong(rows: RowReader, me: UserId, others: readonly UserId[]): Promise<Set<UserId>> {
  if (others.length === 0) return new Set();
  const keys = others.map((other) => streamOf('friendship', friendshipIdOf(me, other)));
  const found = await rows.get(friendshipsModel, keys);
  return new Set(valuesOf(found.values()).flatMap(({ members }) => members));
}

// The characters of a name. Other characters match no name, and must not meet the `^` of the terms.
const NAME_PART = /^[A-Za-z0-9_.-]+$/;

const USERS_PER_READ = 100;

// A search reads at most this many pages, however many rows it leaves out.
const MAX_READS = 20;

/** The user's friends who are not erased. */
export async function friendsOf(source: ViewSource, userId: UserId): Promise<User[]> {
  const friends: User[] = [];
  for await (const ids of friendIds(source.rows, userId))
    friends.push(...(await usersById(source, ids)).values());
  return friends.filter((friend) => friend.erased !== true);
}

/**
 * Users with `q` as any part of their name, case-insensitive and literal: exact, then prefix, then the rest.
 * Leaves out `me`, `me`'s friends and erased users. At most `limit`.
 */
export async function searchUsers(source: ViewSource, me: UserId, q: string, limit: number): Promise<User[]> {
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
    const users = await openUsers(source.open, strangers);
    found.push(...users.filter((user) => user.erased !== true));
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

// The exact name's term is the shortest that begins with `^q`, so it comes first.
async function* candidates(rows: RowReader, q: string): AsyncGenerator<UserRow[]> {
  let pages = 0;
  for (const prefix of [`^${q}`, q]) {
    let from: { term: string; key: string } | undefined;
    while (pages++ < MAX_READS) {
      const page = await rows.findPrefix(usersModel, 'suffix', prefix, USERS_PER_READ, from);
      const last = page.at(-1);
      if (last === undefined) break;
      yield valuesOf(page.map((hit) => hit.row));
      from = { term: last.term, key: last.row.key };
    }
  }
}
