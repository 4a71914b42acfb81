import type { Sealed } from '../../domain/define.js';
import type { Recorded } from '../../domain/events.js';
import type { UserId } from '../../domain/ids.js';
import type { Time } from '../../domain/shapes.js';
import type { TextOpener } from '../../vault/textOpener.js';
import type { Projection } from '../projection.js';
import { elementAt, type IndexEntry, type Model } from '../store/rowStore.js';

/** A user's profile; the key is the user's id. */
export interface UserRow {
  readonly userId: UserId;
  readonly username: Sealed;
  readonly backgroundColor: string;
  readonly createdAt: Time;
  readonly erased?: true;
}

// Opened names, `null` when erased, of the events and rows at hand: each lives as long as its object and is
// never part of a value, so that the plain text is in the index of the row alone.
const plain = new WeakMap<Recorded | UserRow, string | null>();

/** The one term of those who have been erased. */
export const ERASED = 'erased';

/** Profiles, searched by the suffixes of their names; and those who have been erased. Only rows that `usersProjection` folded can be written. */
export const usersModel: Model<UserRow> = {
  name: 'users',
  version: 1,
  indexes: {
    suffix: (row) => suffixEntry(row.value),
    // Nobody was erased before there was this index.
    erased: ({ value }) => (value.erased ? { terms: [ERASED], sort: 0 } : undefined),
  },
};

/** The fold of profiles; `names` opens the names for the index. */
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
        plain.set(event, elementAt(opened, i));
      });
    },
    evolve(value, event) {
      if (event.type === 'UserErased') return value ? { ...value, erased: true } : null;
      if (event.type !== 'UserRegistered') return value ?? null;
      const { userId, username, backgroundColor } = event.data;
      const row: UserRow = { userId, username, backgroundColor, createdAt: event.recordedAt };
      const name = plain.get(event);
      if (name !== undefined) plain.set(row, name);
      return row;
    },
  };
}

/**
 * The terms under which a name is found: every suffix, in lower case, and the whole behind a `^`. Any part of a
 * name begins one of its suffixes; the `^`, which no name holds, tells the beginning of a name from its middle.
 */
export function searchTerms(name: string): string[] {
  const whole = name.toLowerCase();
  return [`^${whole}`, ...Array.from(whole, (_, at) => whole.slice(at))];
}

function suffixEntry(row: UserRow): IndexEntry | undefined {
  if (row.erased) return undefined;
  const name = plain.get(row);
  if (name === undefined)
    throw new Error(`the name of user ${row.userId} was not opened before its row was folded`);
  return name === null ? undefined : { terms: searchTerms(name), sort: 0 };
}

/** What a user may do beside what all may; who never had a role has no row. */
export interface RoleRow {
  readonly isAuditor: boolean;
}

/** Roles, by user id. */
export const rolesModel: Model<RoleRow> = { name: 'roles', version: 1, indexes: {} };

/** The fold of roles. */
export const rolesProjection: Projection<RoleRow> = {
  model: rolesModel,
  keys(event) {
    switch (event.type) {
      case 'AuditorAppointed':
      case 'AuditorDismissed':
      case 'UserErased':
        return [event.data.userId];
      default:
        return [];
    }
  },
  evolve: (_, event) => ({ isAuditor: event.type === 'AuditorAppointed' }),
};
