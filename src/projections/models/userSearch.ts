import { roomIdOf, streamOf, type UserId } from '../../domain/ids.js';
import type { User } from '../../domain/userMessageChat.js';
import { type RowReader, valuesOf } from '../store/rowStore.js';
import { chatsModel, friendIds } from './chatRows.js';
import { openUsers, type UserRow, usersById, usersModel, type ViewSource } from './userRows.js';

/** Finds users: friends, and others by name. */

/** Selects the friends of `me` among `others` with one read, however many friends `me` has. */
async function friendsAmong(rows: RowReader, me: UserId, others: readonly UserId[]): Promise<Set<UserId>> {
  if (others.length === 0) return new Set();
  const keys = others.map((other) => streamOf('room', roomIdOf(me, other)));
  const found = await rows.get(chatsModel, keys);
  const friends = valuesOf(found.values()).filter(({ added }) => added.length > 0);
  return new Set(friends.flatMap(({ members }) => members));
}

// The characters of a name. Other characters match no name, and must not meet the `^` of the terms.
const NAME_PART = /^[A-Za-z0-9_.-]+$/;

const USERS_PER_READ = 100;

// A search reads at most this many pages, however many rows it leaves out.
const MAX_READS = 20;

/** A page of the user's friends. Erased ones are left out, so that it may hold fewer than `limit`. */
export async function friendsPage(
  source: ViewSource,
  userId: UserId,
  page: { limit: number; next?: string },
): Promise<{ friends: User[]; next?: string }> {
  const { ids, ...rest } = await friendIds(source.rows, userId, page);
  const friends = [...(await usersById(source, ids)).values()];
  return { friends: friends.filter((friend) => friend.erased !== true), ...rest };
}

/**
 * Users with `q` as any part of their name, case-insensitive and literal: exact, then prefix, then the rest.
 * Leaves out `me`, `me`'s friends and erased users. At most `limit`.
 */
export async function searchUsers(source: ViewSource, me: UserId, q: string, limit: number): Promise<User[]> {
  if (!NAME_PART.test(q)) return [];
  const part = q.toLowerCase();
  const found: User[] = [];
  const seen = new Set<UserId>([me]);
  for await (const page of candidates(source.rows, part)) {
    const unseen = page.filter((user) => !seen.has(user.userId));
    for (const { userId } of unseen) seen.add(userId);
    const friends = await friendsAmong(
      source.rows,
      me,
      unseen.map((user) => user.userId),
    );
    const strangers = unseen.filter((user) => !friends.has(user.userId));
    const users = await openUsers(source.open, strangers);
    // Only the name itself says whether a term that an index gave is part of it.
    found.push(...users.filter(({ username }) => username?.toLowerCase().includes(part)));
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
