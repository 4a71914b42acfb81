import { z } from 'zod';
import { forbidden, type ParleyError } from '../base/errors.js';
import { type CommandOrigin, command } from './defineCommand.js';
import { event, type SealedField, type Topic } from './defineEvent.js';
import type { Time } from './fields.js';
import type { Actor, UserId } from './ids.js';
import { changed, existingUser, ROLES, type Role, type UserState, unchanged, userStream } from './streams.js';
import { changeUserPush } from './users.js';

/** Roles, and what those who hold them decide about users. */

export const topic: Topic = 'administration';

/** Returns true if a user with these roles may do what `role` permits. An admin may all that a moderator may. */
export const hasRole = (roles: readonly Role[], role: Role): boolean =>
  roles.includes(role) || (role === 'moderator' && roles.includes('admin'));

const RoleData = z.strictObject({ userId: z.string(), role: z.enum(ROLES) });

export const RoleGiven = event('RoleGiven', userStream, {
  data: RoleData,
  evolve: ({ roles = [], ...state }, { data }) => ({ ...state, roles: [...roles, data.role] }),
  line: ({ data }, { who }) => `${who(data.userId)} was given the role ${data.role}`,
});

export const RoleTaken = event('RoleTaken', userStream, {
  data: RoleData,
  evolve({ roles = [], ...state }, { data }) {
    const left = roles.filter((role) => role !== data.role);
    return left.length === 0 ? state : { ...state, roles: left };
  },
  line: ({ data }, { who }) => `the role ${data.role} was taken from ${who(data.userId)}`,
});

export const giveRole = command('give role', userStream, {
  fields: { userId: z.string(), role: z.enum(ROLES) },
  actor: 'system',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId, role }, { roles = [] }) =>
    roles.includes(role) ? unchanged : changed(RoleGiven.of(userId, { userId, role })),
  ),
});

export const takeRole = command('take role', userStream, {
  fields: { userId: z.string(), role: z.enum(ROLES) },
  actor: 'system',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId, role }, { roles = [] }) =>
    roles.includes(role) ? changed(RoleTaken.of(userId, { userId, role })) : unchanged,
  ),
});

/**
 * What moderators, admins, operators and the host application decide about a user. `by` is `system` for the command
 * line, and for a server key.
 */

/** The reason is sealed with the key of who decided; of an operator, who has none, with that of the user. */
const sealerOf = (by: Actor, userId: UserId): UserId => (by === 'system' ? userId : by);

const sealedReason: SealedField<{
  readonly type: string;
  readonly version: number;
  readonly data: { readonly userId: UserId; readonly by: Actor };
}> = {
  field: 'reason',
  of: ({ type, version, data: { userId, by } }) => ({
    owner: sealerOf(by, userId),
    context: `user:${userId}|${type}|${version}|reason`,
  }),
};

const SuspensionData = z.strictObject({ userId: z.string(), by: z.string(), reason: z.string() });
const decider = (by: Actor, who: (id: string) => string): string =>
  by === 'system' ? 'an operator' : who(by);

export const UserSuspended = event('UserSuspended', userStream, {
  data: SuspensionData,
  sealed: [sealedReason],
  evolve: (state, { recordedAt: at }) => ({ ...state, suspended: true as const, suspendedOrRestoredAt: at }),
  push: ({ data }) => [{ name: changeUserPush.name, profileOf: data.userId }],
  line: ({ data: { userId, by, reason } }, { who, quoted }) =>
    `${decider(by, who)} suspended ${who(userId)}: ${quoted(reason)}`,
});

export const UserRestored = event('UserRestored', userStream, {
  data: SuspensionData,
  sealed: [sealedReason],
  evolve: ({ suspended: _, ...state }, { recordedAt: at }) => ({ ...state, suspendedOrRestoredAt: at }),
  push: ({ data }) => [{ name: changeUserPush.name, profileOf: data.userId }],
  line: ({ data: { userId, by, reason } }, { who, quoted }) =>
    `${decider(by, who)} ended the suspension of ${who(userId)}: ${quoted(reason)}`,
});

const Action = z.enum(['password reset', 'sessions ended', 'token issued', 'erasure']);
/** What an admin, an operator or the host application may do to a user beside a suspension. */
export type AdminAction = z.infer<typeof Action>;

interface AdministeringFields extends CommandOrigin {
  readonly userId: UserId;
  readonly by: Actor;
  readonly action: AdminAction;
}

/** Recorded before it is done. */
export const UserAdministered = event('UserAdministered', userStream, {
  data: z.strictObject({ userId: z.string(), by: z.string(), action: Action }),
  line: ({ data: { userId, by, action } }, { who }) =>
    `${decider(by, who)} decided for ${who(userId)}: ${action}`,
});

/** A user who holds a role is not for other users, nor for the host application, to decide about. */
export function refuseForRoles(
  { by, via }: { readonly by: Actor } & CommandOrigin,
  { roles = [] }: Pick<UserState, 'roles'>,
): { refused: ParleyError } | undefined {
  if (roles.length === 0 || (by === 'system' && via === undefined)) return undefined;
  return { refused: forbidden('this user has a role: only the command line can do this') };
}

interface SuspensionFields extends CommandOrigin {
  readonly userId: UserId;
  readonly by: Actor;
  readonly reason: string;
  /** Of what was decided before and may have been carried out: nothing changes if the user was suspended or restored since. */
  readonly decidedAt?: Time;
}

const isSince = ({ suspendedOrRestoredAt: last }: UserState, decidedAt: Time | undefined): boolean =>
  decidedAt !== undefined && last !== undefined && last >= decidedAt;

/** What the two commands about a suspension share. `decide`: a user who holds a role is refused before it is called. */
const aboutSuspension = (decide: (command: SuspensionFields, state: UserState) => typeof unchanged) => ({
  fields: {
    ...{ userId: z.string(), by: z.string(), reason: z.string() },
    decidedAt: z.string().exactOptional(),
  },
  actor: 'by' as const,
  streamId: ({ userId }: SuspensionFields) => userId,
  wants: ({ userId, by }: SuspensionFields) => ({
    ownKeys: [sealerOf(by, userId)],
  }),
  text: 'reason' as const,
  decide: existingUser(
    (command: SuspensionFields, state) =>
      refuseForRoles(command, state) ??
      (isSince(state, command.decidedAt) ? unchanged : decide(command, state)),
  ),
});

/** `not_found` for an unknown or erased user, `forbidden` for one who holds a role, unless an operator asks. */
export const suspendUser = command(
  'suspend user',
  userStream,
  aboutSuspension(({ userId, by, reason }, { suspended }) =>
    suspended ? unchanged : changed(UserSuspended.of(userId, { userId, by, reason })),
  ),
);

/** Refused as `suspend user` is. */
export const restoreUser = command(
  'restore user',
  userStream,
  aboutSuspension(({ userId, by, reason }, { suspended }) =>
    suspended ? changed(UserRestored.of(userId, { userId, by, reason })) : unchanged,
  ),
);

/**
 * Refused as `suspend user` is, but anybody's sessions may be ended. Each call is a decision of its own. No token is
 * issued for a suspended user.
 */
export const administerUser = command('administer user', userStream, {
  fields: { userId: z.string(), by: z.string(), action: Action },
  actor: 'by',
  streamId: ({ userId }) => userId,
  decide: existingUser((command: AdministeringFields, state) => {
    const { userId, by, action } = command;
    const refused = action === 'sessions ended' ? undefined : refuseForRoles(command, state);
    if (refused) return refused;
    if (action === 'token issued' && state.suspended)
      return { refused: forbidden('this account is suspended', 'suspended') };
    return changed(UserAdministered.of(userId, { userId, by, action }));
  }),
});
