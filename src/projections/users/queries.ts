import type { UserId } from '../../events/ids.js';
import type { User } from '../../events/schemas.js';
import { friendsAmong } from '../friendships/queries.js';
import { presentUsers, type Source } from '../present.js';
import type { RowReader } from '../rows.js';
import { rowsUnder, valuesOf } from '../scan.js';
import { ERASED, type UserRow, usersModel } from './model.js';

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
