import { randomUUID } from 'node:crypto';
import type { RouterContext } from '@koa/router';
import type { CommandRouter } from '../../commands/commands.js';
import type { AuditResource } from '../../events/types.js';
import type { Session } from '../../vault/vault.js';

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
