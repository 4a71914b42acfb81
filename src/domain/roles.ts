import { z } from 'zod';
import { forbidden } from '../base/errors.js';
import { command } from './defineCommand.js';
import { event } from './defineEvent.js';
import { changed, existingUser, unchanged, userStream } from './streams.js';

/** The role of an auditor, and the record of each read of an auditor. */

/** The resources that an auditor can read. */
const AuditResource = z.enum(['events', 'room', 'user']);
export type AuditResource = z.infer<typeof AuditResource>;

export const AuditorAppointed = event('AuditorAppointed', userStream, {
  data: z.strictObject({ userId: z.string() }),
  evolve: (state) => ({ ...state, auditor: true as const }),
  line: ({ data }, { who }) => `${who(data.userId)} became an auditor`,
});

export const AuditorDismissed = event('AuditorDismissed', userStream, {
  data: z.strictObject({ userId: z.string() }),
  evolve: ({ auditor: _, ...rest }) => rest,
  line: ({ data }, { who }) => `${who(data.userId)} is no longer an auditor`,
});

/** An auditor's read, with its query. It is in the auditor's own stream, with the auditor as the actor. */
export const AuditRead = event('AuditRead', userStream, {
  data: z.strictObject({
    userId: z.string(),
    resource: AuditResource,
    query: z.record(z.string(), z.string()).readonly(),
  }),
  line: ({ data }, { who, quoted }) =>
    `${who(data.userId)} asked to see ${data.resource}: ${quoted(data.query)}`,
});

export const appointAuditor = command('appoint auditor', userStream, {
  fields: { userId: z.string() },
  actor: 'system',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId }, { auditor }) =>
    auditor ? unchanged : changed(AuditorAppointed.of(userId, { userId })),
  ),
});

export const dismissAuditor = command('dismiss auditor', userStream, {
  fields: { userId: z.string() },
  actor: 'system',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId }, { auditor }) =>
    auditor ? changed(AuditorDismissed.of(userId, { userId })) : unchanged,
  ),
});

/** `userId` is the auditor. Refused as `forbidden` when the user does not have the role. */
export const recordAuditRead = command('record audit read', userStream, {
  fields: { userId: z.string(), resource: AuditResource, query: z.record(z.string(), z.string()).readonly() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  decide: existingUser(({ userId, resource, query }, { auditor }) =>
    auditor
      ? changed(AuditRead.of(userId, { userId, resource, query }))
      : { refused: forbidden('this is for auditors') },
  ),
});
