import type Router from '@koa/router';
import type { z } from 'zod';
import { unauthenticated } from '../base/errors.js';
import type { Passwords, Vault } from '../vault/vault.js';
import type { SessionRules } from './accounts.js';
import { hashCode } from './admin/userAdministration.js';
import { type PasswordGuard, type PasswordTurn, serveResource } from './auth.js';
import { readBody, readQuery } from './problems.js';
import { NoFields, ResetPassword, Username } from './schemas.js';

export interface ResetParts {
  readonly vault: Pick<Vault, 'credentials' | 'sessions'>;
  readonly passwords: Passwords;
  readonly sessionRules: Pick<SessionRules, 'announceEnds'>;
}

/** Setting a new password with the code that an admin or an operator has issued. */
export function mountPasswordReset(router: Router, parts: ResetParts, guard: PasswordGuard): void {
  serveResource(router, '/user/password-reset', {
    POST: async (ctx) => {
      const turn = await guard.admit(ctx);
      readQuery(ctx, NoFields);
      await resetPassword(await readBody(ctx, ResetPassword), turn, parts);
      ctx.status = 204;
    },
  });
}

/** Uses the code up, sets the password and ends all sessions. Throws `unauthenticated`, alike for whatever is wrong. */
async function resetPassword(
  { username, code, newPassword }: z.infer<typeof ResetPassword>,
  turn: PasswordTurn,
  { vault, passwords, sessionRules }: ResetParts,
): Promise<void> {
  const { credentials, sessions } = vault;
  const userId = await turn(credentials.idOf(username), async () => {
    // Before the code is looked at, so that the time tells nobody whether there is one.
    const newHash = await passwords.hash(newPassword);
    // The vault folds case beyond ASCII: a text that cannot be a name must not find one.
    if (!Username.safeParse(username).success) return undefined;
    if (!(await credentials.useReset(username, hashCode(code), newHash, new Date()))) return undefined;
    const found = await credentials.find(username);
    return found === undefined || found === 'erased' ? undefined : found.userId;
  });
  if (userId === undefined) throw unauthenticated('wrong user name or code, or the code is good no more');
  await sessionRules.announceEnds(await sessions.revokeAll(userId));
}
