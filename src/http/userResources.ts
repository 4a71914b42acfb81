import type Router from '@koa/router';
import { notFound } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { Revisions } from '../gateway/cursor.js';
import type { Queries } from '../projections/queries.js';
import { parseBearerToken } from '../vault/sessionStore.js';
import type { Accounts, PasswordParts } from './accounts.js';
import { requireSelf, serveResource } from './auth.js';
import { readId, readOptionalBody, readQuery } from './problems.js';
import { EraseUser, NoFields, RevisionQuery, SearchQuery } from './schemas.js';

export interface UserParts {
  readonly queries: Queries;
  readonly revisions: Pick<Revisions, 'parse' | 'present'>;
  /** See `Erasures.erase`. */
  readonly erase: (userId: string, username: string) => Promise<void>;
}

/** Looking users up, and erasing one's own. */
export function mountUsers(
  router: Router,
  { queries, revisions, erase }: UserParts,
  { signedIn, guard, accounts }: PasswordParts & { readonly accounts: Accounts },
): void {
  const momentsOf = async (revision: string | undefined): Promise<Moment[]> =>
    revision === undefined ? [] : [await revisions.parse(revision)];

  serveResource(router, '/user/search', {
    GET: signedIn(async (ctx, session) => {
      const { q, limit, revision } = readQuery(ctx, SearchQuery);
      ctx.body = { users: await queries.search(session.userId, q, limit, await momentsOf(revision)) };
    }),
  });

  serveResource(router, '/user/:userId', {
    GET: signedIn(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      const { revision } = readQuery(ctx, RevisionQuery);
      const isMe = userId === session.userId;
      // A new device asks for its user right after it connects: the answer must hold all that was pushed before.
      const at = isMe && revision === undefined ? await revisions.present() : await momentsOf(revision);
      const user = isMe ? await queries.self(userId, at) : (await queries.users([userId], at)).get(userId);
      if (!user) throw notFound('no user has this id');
      ctx.body = isMe ? { user, ...(await accounts.overview(userId, at)) } : { user };
    }),
    DELETE: signedIn(async (ctx, session) => {
      const userId = requireSelf(ctx, session, 'you can only delete your own account');
      readQuery(ctx, NoFields);
      const turn = await guard.admit(ctx);
      const { password, token } = await readOptionalBody(ctx, EraseUser);
      const shown = token ?? parseBearerToken(ctx.get('Authorization')) ?? '';
      const { username } = await accounts.confirm(userId, password, shown, turn);
      await erase(userId, username);
      ctx.status = 204;
    }),
  });
}
