import type Router from '@koa/router';
import { z } from 'zod';
import { badRequest, forbidden, notFound, unauthenticated } from '../base/errors.js';
import { TOKEN_CHARACTERS } from '../domain/limits.js';
import { User } from '../domain/userMessageChat.js';
import type { IssuerKeys } from '../host/issuerKeys.js';
import type { IssuerSessions } from '../host/issuerSessions.js';
import type { SignUpRule } from './accounts.js';
import { type FindPresent, keepRenewal, type RequireSession, renewalOf, serveResource } from './auth.js';
import { readBody, readForm, readNoBody, readQuery } from './problems.js';
import { NoFields } from './schemas.js';

export const LogoutForm = z.strictObject({ logout_token: z.string().max(TOKEN_CHARACTERS) });

/** Returns the ways to sign in that a page offers. */
export const SignInOptions = z.strictObject({
  password: z.boolean().meta({ description: 'Whether users may sign in with a password: see `SIGN_UP`.' }),
  signUp: z.boolean().meta({ description: 'Whether anybody may sign up.' }),
  issuer: z
    .strictObject({
      clientId: z.string(),
      authorizationEndpoint: z.url(),
      scope: z.string().meta({ description: 'What to ask the issuer for.' }),
    })
    .exactOptional()
    .meta({ description: 'With `OIDC_CLIENT_ID`: for the code flow with PKCE.' }),
});

const text = z.string().min(1).max(2048);
export const CodeBody = z.strictObject({ code: text, codeVerifier: text, redirectUri: text });
export const CodeAnswer = z.strictObject({
  token: z.string().meta({ description: 'The id token of the issuer.' }),
  user: User,
});

export interface IssuerParts {
  readonly sessions: Pick<IssuerSessions, 'logOut' | 'find'>;
  readonly keys: Pick<IssuerKeys, 'facts' | 'exchange' | 'refresh'>;
  /** Undefined: pages do not sign in by the issuer. */
  readonly clientId: string | undefined;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceEnds: (sessions: readonly string[]) => Promise<void>;
  readonly present: FindPresent;
}

/** How users may sign in; what the issuer asks for, and signing in by it, which are `not_found` without an issuer. */
export function mountIssuer(
  router: Router,
  issuer: IssuerParts | undefined,
  { signedIn, signUp }: { readonly signedIn: RequireSession; readonly signUp: SignUpRule },
): void {
  serveResource(router, '/oidc/logout', {
    POST: async (ctx) => {
      if (!issuer) throw notFound('this server has no OIDC_ISSUER');
      readQuery(ctx, NoFields);
      const { logout_token: token } = await readForm(ctx, LogoutForm);
      const ended = await issuer.sessions.logOut(token, new Date());
      if (ended === undefined) throw badRequest('this is no valid logout token');
      await issuer.announceEnds(ended);
      ctx.status = 200;
      ctx.body = '';
    },
  });

  const requireClient = (): IssuerParts & { readonly clientId: string } => {
    if (issuer?.clientId === undefined) throw notFound('this server has no OIDC_CLIENT_ID');
    return { ...issuer, clientId: issuer.clientId };
  };

  serveResource(router, '/signin-options', {
    GET: async (ctx) => {
      readQuery(ctx, NoFields);
      const found = await findClient(issuer);
      ctx.body = {
        password: signUp !== 'external',
        signUp: signUp === 'open',
        ...(found && { issuer: found }),
      };
    },
  });

  serveResource(router, '/oidc/signin', {
    POST: async (ctx) => {
      const { clientId, keys, sessions, present } = requireClient();
      readQuery(ctx, NoFields);
      const tokens = await keys.exchange(clientId, await readBody(ctx, CodeBody));
      const session = tokens && (await sessions.find(tokens.idToken, new Date()));
      const user = session && (await present(session.userId));
      if (!user) throw unauthenticated('the issuer has not signed you in: try again');
      keepRenewal(ctx, tokens.refreshToken);
      ctx.body = { token: tokens.idToken, user };
    },
  });

  serveResource(router, '/oidc/renew', {
    // The cookie alone renews nothing: a session that has ended stays so.
    POST: signedIn(async (ctx, session) => {
      const { clientId, keys, sessions, present } = requireClient();
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      const renewal = renewalOf(ctx);
      const tokens = renewal === undefined ? undefined : await keys.refresh(clientId, renewal);
      const next = tokens && (await sessions.find(tokens.idToken, new Date()));
      const user = next?.userId === session.userId ? await present(next.userId) : undefined;
      if (!tokens || !user) throw forbidden('the issuer does not renew this session: sign in again');
      // An issuer that gives no new refresh token goes on with the old one.
      keepRenewal(ctx, tokens.refreshToken ?? renewal);
      ctx.body = { token: tokens.idToken, user };
    }),
  });
}

/** How pages sign in by the issuer; undefined if they do not. */
async function findClient(issuer: IssuerParts | undefined) {
  if (issuer?.clientId === undefined) return undefined;
  const { authorization_endpoint: authorizationEndpoint, scopes_supported: scopes = [] } =
    await issuer.keys.facts();
  if (authorizationEndpoint === undefined) return undefined;
  const scope = ['openid', 'profile', ...scopes.filter((one) => one === 'offline_access')].join(' ');
  return { clientId: issuer.clientId, authorizationEndpoint, scope };
}
