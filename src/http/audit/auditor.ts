import type { RouterContext } from '@koa/router';
import { forbidden } from '../../errors.js';
import type { UserId } from '../../events/ids.js';
import type { Session, SessionStore } from '../../vault/vault.js';
import { authenticated } from '../auth.js';
import type { Handler } from '../resource.js';

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
