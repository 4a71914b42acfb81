import { canBeInName } from '../../domain/fields.js';
import type { UserId } from '../../domain/ids.js';
import type { User } from '../../domain/userMessageChat.js';
import { type RowReader, valuesOf } from '../store/rowStore.js';
import { isFriendship } from './chatRows.js';
import type { PageAsked } from './contacts.js';
import { blockedIds, friendIds, pairsOf, preferencesOf } from './contacts.js';
import { foldCase, searchPrefixes, type UserRow } from './userNames.js';
import { openUsers, usersById, usersModel, type ViewSource } from './userRows.js';

/** Finds users: friends, and others by name. */

/** Those of `others` whom a search does not show: friends, and where one of the two blocks the other. */
async function leftOut(rows: RowReader, me: UserId, others: readonly UserId[]): Promise<Set<UserId>> {
  const pairs = await pairsOf(rows, me, others);
  const isLeftOut = [...pairs].filter(([, pair]) => isFriendship(pair) || pair.blocks.length > 0);
  return new Set(isLeftOut.map(([other]) => other));
}

const USERS_PER_READ = 100;

// A search reads at most this many pages, however many rows it leaves out.
const MAX_READS = 20;

/** A page of the user's friends. Erased ones are left out, so that it may hold fewer than `limit`. */
export async function friendsPage(
  source: ViewSource,
  userId: UserId,
  page: PageAsked,
): Promise<{ friends: User[]; next?: string }> {
  const { ids, ...rest } = await friendIds(source.rows, userId, page);
  const friends = [...(await usersById(source, ids)).values()];
  return { friends: friends.filter((friend) => friend.erased !== true), ...rest };
}

/** A page of the users whom the user has blocked, erased ones too, so that they can be taken from the list. */
export async function blockedPage(
  source: ViewSource,
  userId: UserId,
  page: PageAsked,
): Promise<{ users: User[]; next?: string }> {
  const { ids, ...rest } = await blockedIds(source.rows, userId, page);
  return { users: [...(await usersById(source, ids)).values()], ...rest };
}

/** Returns true if the user name or the display name has this part, which is folded, or is it if it must be whole. */
const hasPart = ({ username, displayName }: User, part: string, isWhole: boolean): boolean =>
  [username, displayName].some(
    (name) => name != null && (isWhole ? foldCase(name) === part : foldCase(name).includes(part)),
  );

/**
 * Users with `q` as any part of their user name or display name, case-insensitive and literal: exact, then prefix, then
 * the rest. Leaves out `me`, `me`'s friends, erased users and, unless `q` is a whole name, those who are not findable.
 * Where one blocks the other, neither finds the other. At most `limit`.
 */
export async function searchUsers(source: ViewSource, me: UserId, q: string, limit: number): Promise<User[]> {
  // Such a text is in no name, and must not meet the marks of the terms.
  if (!canBeInName(q)) return [];
  const part = foldCase(q);
  const found: User[] = [];
  const seen = new Set<UserId>([me]);
  for await (const page of candidates(source.rows, q)) {
    const unseen = page.filter((user) => !seen.has(user.userId));
    for (const { userId } of unseen) seen.add(userId);
    const ids = unseen.map((user) => user.userId);
    const [out, preferences] = await Promise.all([
      leftOut(source.rows, me, ids),
      preferencesOf(source.rows, ids),
    ]);
    const strangers = unseen.filter((user) => !out.has(user.userId));
    // Only the names themselves say whether a term that an index gave is part of them.
    for (const user of await openUsers(source.open, strangers))
      if (hasPart(user, part, preferences.get(user.userId)?.findable === false)) found.push(user);
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

async function* candidates(rows: RowReader, q: string): AsyncGenerator<UserRow[]> {
  let pages = 0;
  for (const prefix of searchPrefixes(q)) {
    let from: { term: string; key: string } | undefined;
    while (pages++ < MAX_READS) {
      const page = await rows.findPrefix(usersModel, 'suffix', prefix, USERS_PER_READ, from);
      const last = page.at(-1);
      if (last === undefined) break;
      yield valuesOf(page.map((hit) => hit.row));
      if (page.length < USERS_PER_READ) break;
      from = { term: last.term, key: last.row.key };
    }
  }
}
