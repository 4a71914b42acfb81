import { randomUUID } from 'node:crypto';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import { forbidden } from '../../base/errors.js';
import type { CommandRouter } from '../../domain/commands.js';
import type { UserId } from '../../domain/ids.js';
import type { AuditResource } from '../../domain/roles.js';
import type { Session, SessionStore } from '../../vault/vault.js';
import { type RequireSession, requireSession } from '../auth.js';

const whole = (min: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,14})$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min));

const hashes = z
  .array(z.string())
  .meta({ description: 'The proof as RFC 6962 says, from the bottom up; base64.' });
const checkpoint = z
  .string()
  .exactOptional()
  .meta({ description: 'The signed head of this size, if it is the newest one.' });

export const ProofQuery = z
  .strictObject({
    offset: whole(0)
      .exactOptional()
      .meta({ description: 'Proves that the event at this offset is in the log.' }),
    from: whole(1).exactOptional().meta({
      description: 'Instead of `offset`: proves that the log extends an older head of this size.',
    }),
    size: whole(1)
      .exactOptional()
      .meta({ description: 'Of the log that the proof is for; by default that of the newest head.' }),
  })
  .meta({ description: 'Either `offset` or `from`.' });

export const ProofAnswer = z.strictObject({
  offset: z.int().exactOptional(),
  from: z.int().exactOptional(),
  size: z.int(),
  entry: z.string().exactOptional().meta({ description: 'The stored bytes of the event, in base64.' }),
  hashes,
  checkpoint,
});

export interface AuditorParts {
  readonly sessions: SessionStore;
  /** Whether the user has the role, by everything in the log now. */
  readonly isAuditor: (userId: UserId) => Promise<boolean>;
}

/** Makes a handler that only auditors reach; others get `forbidden`. */
export const requireAuditor = ({ sessions, isAuditor }: AuditorParts): RequireSession => {
  const signedIn = requireSession(sessions);
  return (handler) =>
    signedIn(async (ctx, session) => {
      if (!(await isAuditor(session.userId)))
        throw forbidden('only auditors may see this: an operator can give you the role');
      return handler(ctx, session);
    });
};

/** Records in the log, before the answer, what an auditor reads. Throws `forbidden` if the user is no auditor. */
export async function recordRead(
  commands: CommandRouter,
  { userId }: Session,
  resource: AuditResource,
  ctx: RouterContext,
): Promise<void> {
  // A checked query has strings only.
  const query = { ...ctx.params, ...(ctx.query as Record<string, string>) };
  await commands.execute<'record audit read'>(
    { kind: 'record audit read', userId, resource, query },
    randomUUID(),
  );
}
