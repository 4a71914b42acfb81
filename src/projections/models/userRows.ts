import { overloaded } from '../../base/errors.js';
import type { Recorded } from '../../domain/events.js';
import type { Sealed, Time } from '../../domain/fields.js';
import type { UserId } from '../../domain/ids.js';
import type { Role } from '../../domain/streams.js';
import type { OnlineInfo, User } from '../../domain/userMessageChat.js';
import type { TextOpener } from '../../vault/textOpener.js';
import type { Projection } from '../projection.js';
import {
  elementAt,
  findChecked,
  generationOf,
  type IndexEntry,
  type Model,
  type RowReader,
  type RowStore,
  readGenerations,
  rowsUnder,
  valuesOf,
} from '../store/rowStore.js';

/** A user's profile; the key is the user's id. */
export interface UserRow {
  readonly userId: UserId;
  readonly username: Sealed;
  readonly backgroundColor: string;
  readonly createdAt: Time;
  readonly erased?: true;
}

// Opened names by event or row, `null` when erased. An entry lives as long as its object and is never part of
// a value. So the plain text is in the row's index alone.
const openedNames = new WeakMap<Recorded | UserRow, string | null>();

/** Gives rows their opened names, or null where these are erased, so that index entries can be made of the rows. */
export async function openNamesOf(
  names: Pick<TextOpener, 'usernames'>,
  rows: readonly UserRow[],
): Promise<void> {
  const opened = await names.usernames(rows);
  for (const [i, row] of rows.entries()) openedNames.set(row, elementAt(opened, i));
}

/** The only term of the index `erased`. */
const ERASED = 'erased';

/**
 * Profiles, with an index of name suffixes and one of erased users. Only rows that `usersProjection` folded
 * can be written.
 */
export const usersModel: Model<UserRow> = {
  name: 'users',
  version: 1,
  indexes: {
    suffix: (row) => suffixEntry(row.value),
    // Rows older than this index hold no erased user.
    erased: ({ value }) => (value.erased ? { terms: [ERASED], sort: 0 } : undefined),
  },
};

/** Folds profiles; `names` opens the names for the index. */
export function usersProjection(names: Pick<TextOpener, 'usernames'>): Projection<UserRow> {
  return {
    model: usersModel,
    keys: (event) =>
      event.type === 'UserRegistered' || event.type === 'UserErased' ? [event.data.userId] : [],
    async prepare(events) {
      const registered = events.filter((event) => event.type === 'UserRegistered');
      if (registered.length === 0) return;
      const opened = await names.usernames(registered.map((event) => event.data));
      registered.forEach((event, i) => {
        openedNames.set(event, elementAt(opened, i));
      });
    },
    evolve(value, event) {
      if (event.type === 'UserErased') return value ? { ...value, erased: true } : null;
      if (event.type !== 'UserRegistered') return value ?? null;
      const { userId, username, backgroundColor } = event.data;
      const row: UserRow = { userId, username, backgroundColor, createdAt: event.recordedAt };
      const name = openedNames.get(event);
      if (name !== undefined) openedNames.set(row, name);
      return row;
    },
  };
}

/**
 * The terms that find a name: every suffix in lower case, and the whole name behind a `^`. Any part of a name
 * begins one of its suffixes. No name holds `^`, so it marks the beginning of a name.
 */
export function searchTerms(name: string): string[] {
  const whole = name.toLowerCase();
  return [`^${whole}`, ...Array.from(whole, (_, at) => whole.slice(at))];
}

function suffixEntry(row: UserRow): IndexEntry | undefined {
  if (row.erased) return undefined;
  const name = openedNames.get(row);
  if (name === undefined)
    throw new Error(`the name of user ${row.userId} was not opened before its row was folded`);
  return name === null ? undefined : { terms: searchTerms(name), sort: 0 };
}

/** Opens names and texts. */
export type ContentOpener = TextOpener;

/** Rows, and the opener of their names and texts. */
export interface ViewSource {
  readonly rows: RowReader;
  readonly open: ContentOpener;
}

/** Opens the names of profiles all at once, in their order. An erased user keeps everything but the name. */
export async function openUsers(open: ContentOpener, users: readonly UserRow[]): Promise<User[]> {
  const names = await open.usernames(users);
  return users.map(({ userId, backgroundColor, createdAt, erased }, i) => {
    // The row can tell of the erasure before or after the key is destroyed.
    const username = erased ? null : elementAt(names, i);
    const user: User = { userId, username, backgroundColor, createdAt };
    return username === null ? { ...user, erased: true } : user;
  });
}

/** The profiles of the users that exist, by id. Makes one read of rows and opens all names at once. */
export async function usersById(
  { rows, open }: ViewSource,
  ids: readonly UserId[],
): Promise<Map<UserId, User>> {
  if (ids.length === 0) return new Map();
  const found = await rows.get(usersModel, [...new Set(ids)]);
  const users = await openUsers(open, valuesOf(found.values()));
  return new Map(users.map((user) => [user.userId, user]));
}

/** Profiles in the order asked. Rejects with `overloaded` while the users model lacks one. */
export async function requireUsers(source: ViewSource, ids: readonly UserId[]): Promise<User[]> {
  const users = await usersById(source, ids);
  return ids.map((id) => requireUser(users, id));
}

// Users and rooms are in different partitions, so a profile may be folded after a chat that names it.
export function requireUser(users: ReadonlyMap<UserId, User>, id: UserId): User {
  const user = users.get(id);
  if (user === undefined) throw overloaded(`the profile of user ${id} is not folded yet; try again`);
  return user;
}

/**
 * Removes an erased user's name from the index of every users table that the store may hold. These are the
 * tables of earlier versions and one that is being built. The active table has folded the erasure. The caller
 * must first write everything that was folded before the key was destroyed.
 */
export async function eraseUsername(store: RowStore, userId: UserId): Promise<void> {
  const versions = Array.from({ length: usersModel.version }, (_, i) => ({ ...usersModel, version: i + 1 }));
  const generations = await readGenerations(store, versions);
  for (const [i, model] of versions.entries()) {
    const { active = 0, other = null } = generations[i] ?? {};
    for (const generation of new Set([0, active, other ?? 0]))
      await store.removeIndexEntries(generationOf(model, generation), userId, 'suffix');
  }
  await store.scrub();
}

/** Erased users whose names can still be opened, a page at a time. */
export async function* openedErased({ rows, open }: ViewSource): AsyncGenerator<Map<UserId, string>> {
  for await (const page of rowsUnder(rows, usersModel, 'erased', ERASED)) {
    const users = valuesOf(page).filter(({ erased }) => erased);
    const names = await open.usernames(users);
    yield new Map(users.flatMap(({ userId }, i) => (names[i] ? [[userId, names[i]]] : [])));
  }
}

/** A user's special roles; a user who never had one has no row. */
export interface RoleRow {
  readonly roles: readonly Role[];
}

/** Roles, by user id. */
const rolesModel: Model<RoleRow> = { name: 'roles', version: 1, indexes: {} };

/** Folds roles. */
export const rolesProjection: Projection<RoleRow> = {
  model: rolesModel,
  keys(event) {
    switch (event.type) {
      case 'RoleGiven':
      case 'RoleTaken':
      case 'UserErased':
        return [event.data.userId];
      default:
        return [];
    }
  },
  evolve(value, event) {
    const roles = value?.roles ?? [];
    if (event.type === 'RoleGiven') return { roles: [...roles, event.data.role] };
    if (event.type === 'RoleTaken') return { roles: roles.filter((role) => role !== event.data.role) };
    // An erased user has none.
    return { roles: [] };
  },
};

/** The folded roles of each user asked for. */
export async function rolesOf(
  rows: RowReader,
  ids: readonly UserId[],
): Promise<Map<UserId, readonly Role[]>> {
  const found = ids.length === 0 ? undefined : await rows.get(rolesModel, ids);
  return new Map(ids.map((id) => [id, found?.get(id)?.value?.roles ?? []]));
}

/** The only term of the index `online`. */
const ONLINE = 'online';

/** Presence by user id; a user who was never online has no row. */
export const presenceModel: Model<OnlineInfo> = {
  name: 'presence',
  version: 1,
  indexes: { online: ({ value }) => (value.isOnline ? { terms: [ONLINE], sort: 0 } : undefined) },
};

/** Folds presence. */
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

/** Presence of each user asked for; offline with `lastSeen: null` if never seen. */
export async function presenceOf(rows: RowReader, ids: readonly UserId[]): Promise<Map<UserId, OnlineInfo>> {
  const found = ids.length === 0 ? undefined : await rows.get(presenceModel, ids);
  return new Map(ids.map((id) => [id, found?.get(id)?.value ?? { isOnline: false, lastSeen: null }]));
}

/** A page of the users who are online, by id, behind `after`. */
export async function onlineUsers(rows: RowReader, limit: number, after?: UserId): Promise<UserId[]> {
  const online = await findChecked(rows, presenceModel, 'online', {
    find: { terms: [ONLINE], limit, ...(after === undefined ? {} : { from: { sort: 0, key: after } }) },
    isWanted: ({ value }) => value?.isOnline === true,
  });
  return online.map(({ key }) => key);
}
