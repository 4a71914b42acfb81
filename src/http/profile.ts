import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { overloaded, unauthenticated } from '../base/errors.js';
import type { CommandRouter } from '../domain/commands.js';
import { PROFILE_FIELDS, ProfileChange } from '../domain/people/profiles.js';
import type { User } from '../domain/userMessageChat.js';
import type { Revisions } from '../gateway/cursor.js';
import type { Queries } from '../projections/queries.js';
import { type RequireSession, serveResource } from './auth.js';
import { readBody, readQuery } from './problems.js';
import { NoFields } from './schemas.js';

export interface ProfileParts {
  readonly commands: CommandRouter;
  readonly queries: Pick<Queries, 'self'>;
  readonly revisions: Pick<Revisions, 'revision'>;
}

/** The change without what is so already, so that a repeat records nothing. */
function selectChanges(user: User, change: ProfileChange): ProfileChange {
  const isNews = (field: (typeof PROFILE_FIELDS)[number]) =>
    change[field] !== undefined && change[field] !== (user[field] ?? null);
  return Object.fromEntries(PROFILE_FIELDS.filter(isNews).map((field) => [field, change[field]]));
}

/** Changing one's own profile. */
export function mountProfile(
  router: Router,
  { commands, queries, revisions }: ProfileParts,
  signedIn: RequireSession,
): void {
  serveResource(router, '/user/me', {
    PATCH: signedIn(async (ctx, { userId }) => {
      readQuery(ctx, NoFields);
      const change = await readBody(ctx, ProfileChange);
      const known = await queries.self(userId, []);
      if (!known) throw overloaded('the read models are behind the log: try again');
      if (known.erased) throw unauthenticated('this account was deleted');
      const command = { kind: 'change profile', userId, ...selectChanges(known, change) } as const;
      const { moment } = await commands.execute<'change profile'>(command, randomUUID());
      ctx.body = { user: await queries.self(userId, [moment]), revision: revisions.revision(moment) };
    }),
  });
}
