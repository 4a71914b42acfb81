import { randomUUID } from 'node:crypto';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import { forbidden } from '../../base/errors.js';
import type { CommandRouter } from '../../domain/commands.js';
import type { UserId } from '../../domain/ids.js';
import type { AuditResource } from '../../domain/roles.js';
import type { Session, SessionStore } from '../../vault/vault.js';
import { authenticated, type Handler } from '../auth.js';

const whole = (min: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,14})$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min));

const hashes = z.array(z.string()).meta({ description: 'RFC 6962, from the bottom up; base64.' });
const checkpoint = z
  .string()
  .exactOptional()
  .meta({ description: 'The signed head of this size, if it is the newest.' });

export const ProofQuery = z
  .strictObject({
    offset: whole(0).exactOptional().meta({ description: 'Of the event that is proven to be in the log.' }),
    from: whole(1).exactOptional().meta({
      description: 'Instead of `offset`: the size of an older head, which the log is proven to extend.',
    }),
    size: whole(1).exactOptional().meta({ description: 'By default that of the newest head.' }),
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

/** Who is asked whether somebody may see the log. */
export interface AuditorParts {
  readonly sessions: SessionStore;
  readonly now: () => Date;
  /** Whether the user has the role, by all that is in the log now. */
  readonly isAuditor: (userId: UserId) => Promise<boolean>;
}

/** Makes handlers that only auditors reach; others get `forbidden`. */
export function forAuditors({ sessions, now, isAuditor }: AuditorParts) {
  return (handler: (ctx: RouterContext, session: Session) => Promise<void>): Handler =>
    authenticated(
      sessions,
      now,
    )(async (ctx, session) => {
      if (!(await isAuditor(session.userId))) throw forbidden('only auditors may see this');
      return handler(ctx, session);
    });
}

/**
 * Writes into the log who is about to be shown what, as they asked for it. Rejects as `forbidden` if the log says that
 * they are no auditor.
 */
export async function recordRead(
  commands: CommandRouter,
  { userId }: Session,
  resource: AuditResource,
  ctx: RouterContext,
): Promise<void> {
  // A query that was checked holds nothing else than strings.
  const query = { ...ctx.params, ...(ctx.query as Record<string, string>) };
  await commands.execute<'record audit read'>(
    { kind: 'record audit read', userId, resource, query },
    randomUUID(),
  );
}
