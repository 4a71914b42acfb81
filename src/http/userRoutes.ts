import type Router from '@koa/router';
import { forbidden, notFound } from '../base/errors.js';
import type { AddressLimit } from '../base/rateLimits.js';
import type { Moment } from '../domain/commands.js';
import type { Queries } from '../projections/queries.js';
import type { SessionStore } from '../vault/vault.js';
import type { Accounts } from './accounts.js';
import { authenticated, limitedByAddress, resource } from './auth.js';
import { readBody, readId, readNoBody, readQuery } from './problems.js';
import {
  ChangePassword,
  EraseUser,
  NoFields,
  RevisionQuery,
  SearchQuery,
  SignIn,
  SignOutQuery,
  SignUp,
} from './schemas.js';

export interface UserParts {
  readonly accounts: Accounts;
  readonly sessions: SessionStore;
  readonly queries: Queries;
  /** How far the log is, by partition. */
  readonly present: () => Promise<Moment[]>;
  /** Throws `bad_request` for what is no revision of this log, or ahead of it. */
  readonly parseRevision: (text: string) => Promise<Moment>;
  /** See `Erasures.erase`. */
  readonly erase: (userId: string, username: string) => Promise<void>;
  readonly now: () => Date;
  /** Of sign-ups and sign-ins; none for benchmarks. */
  readonly addressLimit: AddressLimit | undefined;
  /** How many proxies in front may set `X-Forwarded-For`. */
  readonly trustProxy: number;
}

/** Signing up, in and out, and looking people up. */
export function serveUsers(router: Router, parts: UserParts): void {
  const { accounts, queries, now } = parts;
  const signedIn = authenticated(parts.sessions, now);
  const limited = limitedByAddress(parts.addressLimit, parts.trustProxy);
  const momentsOf = async (revision: string | undefined): Promise<Moment[]> =>
    revision === undefined ? [] : [await parts.parseRevision(revision)];

  resource(router, '/user', {
    POST: limited(async (ctx) => {
      readQuery(ctx, NoFields);
      const { username, password } = await readBody(ctx, SignUp);
      ctx.body = { user: await accounts.signUp(username, password) };
      ctx.status = 201;
    }),
  });

  resource(router, '/user/signin', {
    POST: limited(async (ctx) => {
      readQuery(ctx, NoFields);
      const { username, password } = await readBody(ctx, SignIn);
      ctx.body = await accounts.signIn(username, password);
    }),
  });

  resource(router, '/user/signout', {
    POST: signedIn(async (ctx, session) => {
      const { everywhere } = readQuery(ctx, SignOutQuery);
      await readNoBody(ctx, NoFields);
      await accounts.signOut(session, everywhere === 'true');
      ctx.status = 204;
    }),
  });

  resource(router, '/user/password', {
    PUT: signedIn(async (ctx, session) => {
      readQuery(ctx, NoFields);
      const { password, newPassword } = await readBody(ctx, ChangePassword);
      await accounts.changePassword(session, password, newPassword);
      ctx.status = 204;
    }),
  });

  resource(router, '/user/search', {
    GET: signedIn(async (ctx, session) => {
      const { q, limit, revision } = readQuery(ctx, SearchQuery);
      ctx.body = { users: await queries.search(session.userId, q, limit, await momentsOf(revision)) };
    }),
  });

  resource(router, '/user/:userId', {
    GET: signedIn(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      const { revision } = readQuery(ctx, RevisionQuery);
      const isMe = userId === session.userId;
      // A device that begins asks for its own: what it is not pushed any more must be in it.
      const at = isMe && revision === undefined ? await parts.present() : await momentsOf(revision);
      const user = (await queries.users([userId], at)).get(userId);
      if (!user) throw notFound('there is no such user');
      ctx.body = isMe ? { user, ...(await accounts.overview(userId, at)) } : { user };
    }),
    DELETE: signedIn(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      readQuery(ctx, NoFields);
      const { password } = await readBody(ctx, EraseUser);
      if (userId !== session.userId) throw forbidden('only the user themselves may do this');
      const { username } = await accounts.confirm(userId, password);
      await parts.erase(userId, username);
      ctx.status = 204;
    }),
  });
}
