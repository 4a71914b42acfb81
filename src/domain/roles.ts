import { z } from 'zod';
import { forbidden } from '../base/errors.js';
import { command } from './defineCommand.js';
import { event } from './defineEvent.js';
import { changed, existingUser, ROLES, type Role, unchanged, userStream } from './streams.js';

/** Roles, and the record of each read that a role permits. */

/** Returns true if a user with these roles may do what `role` permits. An admin may all that a moderator may. */
export const hasRole = (roles: readonly Role[], role: Role): boolean =>
  roles.includes(role) || (role === 'moderator' && roles.includes('admin'));

/** The resources of which each read is recorded, with the role that permits it. */
const READ_ROLES = {
  events: 'auditor',
  room: 'auditor',
  user: 'auditor',
  report: 'moderator',
  reports: 'moderator',
  users: 'admin',
} as const satisfies Record<string, Role>;

const AuditResource = z.enum(['events', 'room', 'user', 'report', 'reports', 'users']);
export type AuditResource = z.infer<typeof AuditResource>;

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

/** A read, with its query. It is in the stream of the reader, who is the actor. */
export const AuditRead = event('AuditRead', userStream, {
  data: z.strictObject({
    userId: z.string(),
    resource: AuditResource,
    query: z.record(z.string(), z.string()).readonly(),
  }),
  line: ({ data }, { who, quoted }) =>
    `${who(data.userId)} asked to see ${data.resource}: ${quoted(data.query)}`,
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

/** `userId` is the reader. Refused as `forbidden` when none of the user's roles permits the read. */
export const recordAuditRead = command('record audit read', userStream, {
  fields: { userId: z.string(), resource: AuditResource, query: z.record(z.string(), z.string()).readonly() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId, resource, query }, { roles = [] }) => {
    const role = READ_ROLES[resource];
    return hasRole(roles, role)
      ? changed(AuditRead.of(userId, { userId, resource, query }))
      : { refused: forbidden(`only a user with the role ${role} may see this`) };
  }),
});
