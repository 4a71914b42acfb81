import { z } from 'zod';
import { forbidden } from '../base/errors.js';
import { command } from './defineCommand.js';
import { event, type Topic } from './defineEvent.js';
import { hasRole } from './roles.js';
import { changed, existingUser, type Role, userStream } from './streams.js';

/** The record of each read that a role, or a server key, permits. */

export const topic: Topic = 'audit';

/** The resources of which each read is recorded, with the role that permits it. */
const READ_ROLES = {
  events: 'auditor',
  room: 'auditor',
  user: 'auditor',
  report: 'moderator',
  reports: 'moderator',
  suspension: 'moderator',
  users: 'admin',
  sessions: 'admin',
  subscriptions: 'admin',
  keys: 'admin',
} as const satisfies Record<string, Role>;

const AuditResource = z.enum([
  ...['events', 'room', 'user'],
  ...['report', 'reports', 'suspension'],
  ...['users', 'sessions', 'subscriptions', 'keys'],
] as const);
export type AuditResource = z.infer<typeof AuditResource>;

/** The resource of which each read through a server key is recorded. */
const HOST_RESOURCE = 'messages';

/**
 * A read, with its query. It is in the stream of the reader, who is the actor. If the host application has read through
 * a server key, the reader is that key, and the actor `system`.
 */
export const AuditRead = event('AuditRead', userStream, {
  data: z.strictObject({
    userId: z.string(),
    resource: z.enum([...AuditResource.options, HOST_RESOURCE]),
    query: z.record(z.string(), z.string()).readonly(),
  }),
  isDeliveredIfNamed: true,
  line: ({ data }, { who, quoted }) =>
    `${who(data.userId)} asked to see ${data.resource}: ${quoted(data.query)}`,
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

/** A read through a server key, whose id is `userId`. */
export const recordHostRead = command('record host read', userStream, {
  fields: { userId: z.string(), query: z.record(z.string(), z.string()).readonly() },
  actor: 'system',
  streamId: ({ userId }) => userId,
  decide: ({ userId, query }) => changed(AuditRead.of(userId, { userId, resource: HOST_RESOURCE, query })),
});
