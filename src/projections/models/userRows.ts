import { overloaded } from '../../base/errors.js';
import type { Recorded } from '../../domain/events.js';
import type { UserId } from '../../domain/ids.js';
import type { Role } from '../../domain/streams.js';
import type { OnlineInfo, User } from '../../domain/userMessageChat.js';
import { PROFILE_FIELDS, type ProfileField, PUBLIC_PROFILE_FIELDS } from '../../domain/users.js';
import type { TextOpener } from '../../vault/textOpener.js';
import type { Projection } from '../projection.js';
import {
  findChecked,
  generationOf,
  type Model,
  type RowReader,
  type RowStore,
  readGenerations,
  rowsUnder,
  valuesOf,
} from '../store/rowStore.js';
import {
  type NameOpener,
  openNamesIn,
  openNamesOf,
  passNames,
  profileTextOf,
  suffixEntry,
  type UserRow,
  usernameOf,
} from './userNames.js';

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
export function usersProjection(names: NameOpener): Projection<UserRow> {
  return {
    model: usersModel,
    keys(event) {
      switch (event.type) {
        case 'UserRegistered':
        case 'ProfileChanged':
        case 'UserSuspended':
        case 'UserRestored':
        case 'UserErased':
          return [event.data.userId];
        default:
          return [];
      }
    },
    async prepare(events, rows) {
      await openNamesIn(names, events);
      await openNamesOf(names, rows);
    },
    evolve(value, event) {
      if (event.type === 'UserRegistered') return registeredRow(event);
      if (!value) return null;
      if (event.type === 'ProfileChanged') return changedRow(value, event);
      if (event.type === 'UserSuspended' || event.type === 'UserRestored') return suspendedRow(value, event);
      if (event.type !== 'UserErased') return value;
      const { userId, username, backgroundColor, createdAt } = value;
      return { userId, username, backgroundColor, createdAt, erased: true };
    },
  };
}

function registeredRow(event: Recorded<'UserRegistered'>): UserRow {
  const { userId, username, backgroundColor } = event.data;
  const row: UserRow = { userId, username, backgroundColor, createdAt: event.recordedAt };
  passNames(row, event);
  return row;
}

function suspendedRow(value: UserRow, event: Recorded<'UserSuspended' | 'UserRestored'>): UserRow {
  const { suspended: _, ...rest } = value;
  const row: UserRow = event.type === 'UserSuspended' ? { ...rest, suspended: true } : rest;
  passNames(row, event, value);
  return row;
}

function changedRow(value: UserRow, event: Recorded<'ProfileChanged'>): UserRow {
  const { bot: wasBot, ...rest } = value;
  const { bot = wasBot } = event.data;
  const row: { -readonly [F in keyof UserRow]: UserRow[F] } = bot ? { ...rest, bot: true } : rest;
  for (const field of PROFILE_FIELDS) {
    const text = event.data[field];
    if (text === null) delete row[field];
    else if (text !== undefined) row[field] = text;
  }
  passNames(row, event, value);
  return row;
}

/** Opens names and texts. */
export type ContentOpener = TextOpener;

/** Rows, and the opener of their names and texts. */
export interface ViewSource {
  readonly rows: RowReader;
  readonly open: ContentOpener;
}

/**
 * Opens the names and the given texts of profiles all at once, in the order of the rows. An erased user keeps everything
 * but the texts.
 */
export async function openUsers(
  open: ContentOpener,
  users: readonly UserRow[],
  fields: readonly ProfileField[] = PUBLIC_PROFILE_FIELDS,
): Promise<User[]> {
  const texts = users.flatMap((row) => [
    usernameOf(row),
    ...fields.flatMap((field) => {
      const sealed = row[field];
      return sealed === undefined ? [] : [profileTextOf(row.userId, field, sealed)];
    }),
  ]);
  const opened = (texts.length === 0 ? [] : await open.notes(texts)).values();
  return users.map((row) => {
    // Without fields the users are shown by their names alone.
    const isSuspended = fields.length > 0 && row.suspended;
    const isBot = fields.length > 0 && row.bot;
    const { userId, backgroundColor, createdAt, erased } = row;
    const name = opened.next().value ?? null;
    const profile: { [F in ProfileField]?: string } = {};
    for (const field of fields) {
      const text = row[field] === undefined ? null : opened.next().value;
      if (text) profile[field] = text;
    }
    // The row can tell of the erasure before or after the key is destroyed.
    return erased || name === null
      ? { userId, username: null, backgroundColor, createdAt, erased: true }
      : {
          userId,
          username: name,
          backgroundColor,
          createdAt,
          ...profile,
          ...(isBot && { bot: true }),
          ...(isSuspended && { suspended: true }),
        };
  });
}

/** The profiles of the users that exist, by id. Makes one read of rows and opens all names at once. */
export async function usersById(
  { rows, open }: ViewSource,
  ids: readonly UserId[],
  fields?: readonly ProfileField[],
): Promise<Map<UserId, User>> {
  if (ids.length === 0) return new Map();
  const found = await rows.get(usersModel, [...new Set(ids)]);
  const users = await openUsers(open, valuesOf(found.values()), fields);
  return new Map(users.map((user) => [user.userId, user]));
}

/** Profiles in the order asked. Rejects with `overloaded` while the users model lacks one. */
export async function requireUsers(
  source: ViewSource,
  ids: readonly UserId[],
  fields?: readonly ProfileField[],
): Promise<User[]> {
  const users = await usersById(source, ids, fields);
  return ids.map((id) => requireUser(users, id));
}

// Users and rooms are in different partitions, so a profile may be folded after a chat that names it.
export function requireUser(users: ReadonlyMap<UserId, User>, id: UserId): User {
  const user = users.get(id);
  if (user === undefined) throw overloaded(`the profile of user ${id} is not folded yet; try again`);
  return user;
}

/**
 * Removes an erased user's names from the index of every users table that the store may hold. These are the
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
    const names = await open.notes(users.map(usernameOf));
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

/** A page of the users who are online, by id, behind `after`. */
export async function onlineUsers(rows: RowReader, limit: number, after?: UserId): Promise<UserId[]> {
  const online = await findChecked(rows, presenceModel, 'online', {
    find: { terms: [ONLINE], limit, ...(after === undefined ? {} : { from: { sort: 0, key: after } }) },
    isWanted: ({ value }) => value?.isOnline === true,
  });
  return online.map(({ key }) => key);
}
