import { z } from 'zod';
import { forbidden, type ParleyError } from '../../base/errors.js';
import { command } from '../defineCommand.js';
import { event, type SealedField } from '../defineEvent.js';
import type { Actor, UserId } from '../ids.js';
import { changed, existingUser, type UserState, unchanged, userStream } from '../streams.js';
import { changeUserPush } from './profiles.js';

/** What moderators, admins and operators decide about a user. `by` is `system` for the command line. */

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
  evolve: (state) => ({ ...state, suspended: true as const }),
  push: ({ data }) => [{ name: changeUserPush.name, profileOf: data.userId }],
  line: ({ data: { userId, by, reason } }, { who, quoted }) =>
    `${decider(by, who)} suspended ${who(userId)}: ${quoted(reason)}`,
});

export const UserRestored = event('UserRestored', userStream, {
  data: SuspensionData,
  sealed: [sealedReason],
  evolve: ({ suspended: _, ...state }) => state,
  push: ({ data }) => [{ name: changeUserPush.name, profileOf: data.userId }],
  line: ({ data: { userId, by, reason } }, { who, quoted }) =>
    `${decider(by, who)} ended the suspension of ${who(userId)}: ${quoted(reason)}`,
});

const Action = z.enum(['password reset', 'sessions ended', 'erasure']);
/** What an admin may do to a user beside a suspension. */
export type AdminAction = z.infer<typeof Action>;

/** Recorded before it is done. */
export const UserAdministered = event('UserAdministered', userStream, {
  data: z.strictObject({ userId: z.string(), by: z.string(), action: Action }),
  line: ({ data: { userId, by, action } }, { who }) =>
    `${decider(by, who)} decided for ${who(userId)}: ${action}`,
});

/** A user who holds a role is not for other users to decide about. */
function refuseForRoles(by: Actor, { roles = [] }: UserState): { refused: ParleyError } | undefined {
  if (by === 'system' || roles.length === 0) return undefined;
  return { refused: forbidden('this user holds a role: only the command line can do this') };
}

const suspensionFields = { userId: z.string(), by: z.string(), reason: z.string() };
const suspensionKeys = ({ userId, by }: { readonly userId: UserId; readonly by: Actor }) => ({
  ownKeys: [sealerOf(by, userId)],
});

/** `not_found` for an unknown or erased user, `forbidden` for one who holds a role, unless an operator asks. */
export const suspendUser = command('suspend user', userStream, {
  fields: suspensionFields,
  actor: 'by',
  streamId: ({ userId }) => userId,
  wants: suspensionKeys,
  text: 'reason',
  decide: existingUser(({ userId, by, reason }, state) => {
    const refused = refuseForRoles(by, state);
    if (refused) return refused;
    return state.suspended ? unchanged : changed(UserSuspended.of(userId, { userId, by, reason }));
  }),
});

/** Refused as `suspend user` is. */
export const restoreUser = command('restore user', userStream, {
  fields: suspensionFields,
  actor: 'by',
  streamId: ({ userId }) => userId,
  wants: suspensionKeys,
  text: 'reason',
  decide: existingUser(({ userId, by, reason }, state) => {
    const refused = refuseForRoles(by, state);
    if (refused) return refused;
    return state.suspended ? changed(UserRestored.of(userId, { userId, by, reason })) : unchanged;
  }),
});

/** Refused as `suspend user` is. Each call is a decision of its own. */
export const administerUser = command('administer user', userStream, {
  fields: { userId: z.string(), by: z.string(), action: Action },
  actor: 'by',
  streamId: ({ userId }) => userId,
  decide: existingUser(
    ({ userId, by, action }, state) =>
      refuseForRoles(by, state) ?? changed(UserAdministered.of(userId, { userId, by, action })),
  ),
});
