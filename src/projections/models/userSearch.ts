import { badRequest } from '../../base/errors.js';
import type { Moment } from '../../domain/commands.js';
import { canBeInName } from '../../domain/fields.js';
import type { UserId } from '../../domain/ids.js';
import { DEFAULT_PREFERENCES, type User } from '../../domain/userMessageChat.js';
import { cutPage, nextOf, type PageAsked } from '../answerPages.js';
import { type Row, type RowReader, valuesOf } from '../store/rowStore.js';
import { isFriendship } from './chatRows.js';
import { pairsOf, pairsUnder, peerIds, preferencesOf, presenceFor, tiesOf } from './contacts.js';
import { foldCase, searchPrefixes, searchTerms, type UserRow } from './userNames.js';
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

/** A page of users who share a pair with the user; `isShown` says who is left out. */
async function pageOfPairs(
  source: ViewSource,
  index: 'friends' | 'blocked',
  userId: UserId,
  page: PageAsked,
  isShown: (user: User) => boolean,
): Promise<{ users: User[]; next?: string }> {
  const found = await pairsUnder(source.rows, index, userId, page);
  const rows = found.slice(0, page.limit);
  const users = await usersById(
    source,
    rows.flatMap(({ other }) => other ?? []),
  );
  const { shown, end } = cutPage(rows, found.length > page.limit, ({ other }) => {
    const user = other === undefined ? undefined : users.get(other);
    return user && isShown(user) ? user : undefined;
  });
  return { users: shown, ...nextOf(index, end, ({ key }) => ({ sort: 0, key })) };
}

/** A page of the user's friends. Erased ones are left out, so that it may hold fewer than `limit`. */
async function friendsPage(
  source: ViewSource,
  userId: UserId,
  page: PageAsked,
): Promise<{ friends: User[]; next?: string }> {
  const isShown = (friend: User) => friend.erased !== true;
  const { users: friends, ...rest } = await pageOfPairs(source, 'friends', userId, page, isShown);
  return { friends, ...rest };
}

/** A page of the users whom the user has blocked, erased ones too, so that they can be taken from the list. */
const blockedPage = (source: ViewSource, userId: UserId, page: PageAsked) =>
  pageOfPairs(source, 'blocked', userId, page, () => true);

export interface UserPageRequest {
  readonly q?: string | undefined;
  readonly limit: number;
  readonly next?: string | undefined;
}

/**
 * A page of all users, erased ones included, by id; or of those with `q` in a name, each once. `next` is the id of the
 * last user: no part of a name leaves in it. Throws `bad_request` if that user cannot be found by `q` any more.
 */
export async function userPage(
  source: ViewSource,
  { q, limit, next }: UserPageRequest,
): Promise<{ users: User[]; next?: string }> {
  if (q !== undefined && !canBeInName(q)) return { users: [] };
  const rows =
    q === undefined
      ? await source.rows.range(usersModel, {
          ...(next === undefined ? {} : { after: next }),
          limit: limit + 1,
        })
      : await findNamed(source, foldCase(q), limit + 1, next);
  const users = await openUsers(source.open, valuesOf(rows.slice(0, limit)));
  const isFound = (user: User) => q === undefined || hasPart(user, foldCase(q), false);
  const { shown, end } = cutPage(users, rows.length > limit, (user) => (isFound(user) ? user : undefined));
  return { users: shown, ...(end ? { next: end.userId } : {}) };
}

async function findNamed(
  source: ViewSource,
  part: string,
  limit: number,
  next: string | undefined,
): Promise<Row<UserRow>[]> {
  const from = next === undefined ? undefined : await placeOf(source, part, next);
  const found = await source.rows.findPrefix(usersModel, 'suffix', part, limit, from);
  return found.map(({ row }) => row);
}

/** Where a user comes among those with this part in a name: by the first of their terms, in the order of UTF-8. */
async function placeOf(
  source: ViewSource,
  part: string,
  userId: UserId,
): Promise<{ term: string; key: string }> {
  const user = (await usersById(source, [userId])).get(userId);
  const names = [user?.username, user?.displayName].filter((name) => name != null);
  const terms = names
    .flatMap((name) => searchTerms(name, 'username'))
    .filter((term) => term.startsWith(part));
  const [term] = terms.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (term !== undefined) return { term, key: userId };
  const message = 'is of a page that has changed: begin with the first page again';
  throw badRequest(`next ${message}`, [{ path: 'next', message }]);
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

/** What a user is to others, and what they permit. */
export function peopleQueries(source: ViewSource, waitFor: (at: readonly Moment[]) => Promise<unknown>) {
  const { rows } = source;
  return {
    async friends(userId: UserId, page: PageAsked, at: readonly Moment[]) {
      await waitFor(at);
      return friendsPage(source, userId, page);
    },
    async blocked(userId: UserId, page: PageAsked, at: readonly Moment[]) {
      await waitFor(at);
      return blockedPage(source, userId, page);
    },
    async search(me: UserId, q: string, limit: number, at: readonly Moment[]) {
      await waitFor(at);
      return searchUsers(source, me, q, limit);
    },
    async peers(userId: UserId, at: readonly Moment[]) {
      await waitFor(at);
      return peerIds(rows, userId);
    },
    async ties(userId: UserId, at: readonly Moment[]) {
      await waitFor(at);
      return tiesOf(rows, userId);
    },
    async preferences(userId: UserId, at: readonly Moment[]) {
      await waitFor(at);
      return (await preferencesOf(rows, [userId])).get(userId) ?? DEFAULT_PREFERENCES;
    },
    async presence(viewer: UserId | 'admin', ids: readonly UserId[], at: readonly Moment[]) {
      await waitFor(at);
      return presenceFor(rows, viewer, ids);
    },
  };
}
