import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { notFound } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Origins } from '../base/origins.js';
import { BoundedLog } from '../base/rateLimits.js';
import type { KeyAdministration } from '../host/keyAdministration.js';
import { type AccountParts, Accounts, mountAccounts } from './accounts.js';
import type { UserAdministration } from './administration.js';
import { mountAdminUsers, mountPasswordReset } from './administration.js';
import {
  mountAdminKeys,
  mountAdminSessions,
  mountAdminSubscriptions,
  mountAdminSuspensions,
  mountOwnRoles,
} from './adminResources.js';
import { mountAuditEvents, mountPast, type ReadParts } from './audit/auditEvents.js';
import { type LogParts, mountAuditLog } from './audit/auditLog.js';
import {
  PasswordGuard,
  type PasswordLimits,
  type RoleParts,
  requireRole,
  requireSession,
  type SessionParts,
} from './auth.js';
import { mountDocuments } from './documents/documents.js';
import { type IssuerParts, mountIssuer } from './issuerSignIn.js';
import { type ModerationParts, mountModeration } from './moderation.js';
import { mountAdminStorage, mountOperations, type OperationParts } from './operations.js';
import { type ExportParts, mountExport, mountProfile, type ProfileParts } from './ownData.js';
import { builtPages, serveMissing, servePages } from './pages.js';
import { REQUEST_ID, respondToErrors } from './problems.js';
import type { ServerParts } from './server/hostRequests.js';
import { requireKey } from './server/serverAuth.js';
import { mountServerMessages } from './server/serverMessages.js';
import { mountServerRooms } from './server/serverRooms.js';
import { mountServerUsers } from './server/serverUsers.js';
import { mountSubscriptions, type SubscriptionResources } from './server/subscriptionResources.js';
import { mountUsers, type UserParts } from './userResources.js';

/** The parts that each group of resources uses. */
export interface HttpParts {
  readonly accounts: AccountParts & { readonly limits: PasswordLimits & Pick<SessionParts, 'checkRequest'> };
  readonly users: { readonly administration: UserAdministration } & UserParts &
    Pick<ExportParts, 'historyOf' | 'reports'> &
    Pick<ProfileParts, 'revisions'>;
  readonly audit: Pick<RoleParts, 'hasRole'> & ReadParts & ModerationParts & { readonly log: LogParts };
  readonly operations: OperationParts;
  /** `issuer`: undefined without `OIDC_ISSUER`. */
  readonly host: {
    readonly server: ServerParts;
    readonly events: SubscriptionResources;
    readonly keys: KeyAdministration;
    readonly issuer: IssuerParts | undefined;
  };
}

/** The Koa application: everything of the contract except the socket. */
export function createApp(
  { accounts, users, audit, operations, host }: HttpParts,
  origins: Origins,
  log: Logger,
): Koa {
  const app = new Koa();
  const router = new Router({ sensitive: true, strict: true });
  const { sessions } = accounts.vault;
  const session = { sessions, checkRequest: accounts.limits.checkRequest };
  const signedIn = requireSession(session);
  const auditors = { ...session, hasRole: audit.hasRole };
  const audited = requireRole(auditors, 'auditor');
  const service = new Accounts(accounts);
  mountDocuments(router);
  mountOperations(router, operations);
  const guard = new PasswordGuard(accounts.limits);
  mountAccounts(router, service, { signedIn, guard, signUp: accounts.sessionRules.signUp });
  mountPasswordReset(router, accounts, guard);
  const admins = { roles: auditors, commands: accounts.commands, administration: users.administration };
  mountAdminUsers(router, admins);
  mountAdminSuspensions(router, admins, audit.reader);
  mountAdminSessions(router, admins);
  mountAdminSubscriptions(router, admins, host.events);
  mountAdminKeys(router, admins, host.keys);
  mountAdminStorage(router, auditors, operations.storage);
  mountOwnRoles(router, auditors);
  mountProfile(router, { commands: accounts.commands, ...users }, signedIn);
  mountUsers(router, users, { signedIn, guard, accounts: service });
  mountExport(router, { ...users, sessions }, signedIn);
  mountAuditLog(router, audit.log, audited);
  mountAuditEvents(router, audit, auditors);
  mountPast(router, audit, audited);
  mountModeration(router, audit, requireRole(auditors, 'moderator'));
  const byKey = requireKey(host.server.keys);
  for (const mount of [mountServerUsers, mountServerRooms, mountServerMessages])
    mount(router, host.server, byKey);
  mountSubscriptions(router, host.events, byKey);
  mountIssuer(router, host.issuer, { signedIn, signUp: accounts.sessionRules.signUp });

  app.use(observeRequests(operations.metrics, origins, log));
  app.use(setSecurityHeaders);
  app.use(shareWith(origins));
  app.use(respondToErrors(log));
  app.use(dropTrailingSlash);
  const { signUp } = accounts.sessionRules;
  const pages = builtPages();
  app.use(servePages(pages, signUp === 'open' && host.issuer?.clientId === undefined));
  app.use(router.routes());
  app.use(serveMissing(pages));
  app.use(() => {
    throw notFound('nothing is at this path; /openapi.json lists all paths');
  });
  // Only errors after an answer has begun come here, such as that the client has gone.
  app.on('error', (err: unknown) => log.debug({ err }, 'an answer was not delivered'));
  return app;
}

/** Sets the headers that every answer has; a page replaces the policy by its own. */
const setSecurityHeaders: Koa.Middleware = (ctx, next) => {
  ctx.set({
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  });
  return next();
};

/** Makes a path with a trailing slash the one without, for pages and resources alike. */
const dropTrailingSlash: Koa.Middleware = (ctx, next) => {
  if (/[^/]\/$/.test(ctx.path)) ctx.path = ctx.path.slice(0, -1);
  return next();
};

/** The headers beside the simple ones that scripts of other origins may read. */
const EXPOSED_HEADERS = 'Allow, Content-Disposition, Date, ETag, Retry-After, WWW-Authenticate, X-Request-Id';
const PREFLIGHT_SECONDS = 600;

/**
 * Lets the pages of allowed origins read every answer (CORS). A preflight is an `OPTIONS`, which needs no token. Answers
 * never allow credentials: a browser holds none for this server.
 */
const shareWith =
  (origins: Origins): Koa.Middleware =>
  async (ctx, next) => {
    ctx.vary('Origin');
    const { origin } = ctx.headers;
    if (origin === undefined || !origins.isAllowed(ctx.headers)) return next();
    ctx.set({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Expose-Headers': EXPOSED_HEADERS,
    });
    await next();
    const allow = ctx.response.get('Allow');
    // Nothing is allowed at a path where no resource is.
    if (ctx.method !== 'OPTIONS' || !allow || ctx.get('Access-Control-Request-Method') === '') return;
    ctx.set({
      'Access-Control-Allow-Methods': allow,
      'Access-Control-Allow-Headers': 'Authorization, Content-Type',
      'Access-Control-Max-Age': String(PREFLIGHT_SECONDS),
    });
  };

/** The line of an answer that operators look for when somebody attacks; undefined: it has none. */
function securityLine(
  { method, status, state }: Pick<Koa.Context, 'method' | 'status'> & Pick<Koa.Context, 'state'>,
  route: string,
): ['info' | 'warn', string] | undefined {
  if (status === 429)
    return ['warn', state.isTooSoon ? 'a request came too soon' : 'too many passwords were tried'];
  if (status === 403) return ['warn', 'a request was forbidden'];
  if (route === '/user/signin' && status === 401) return ['warn', 'a sign-in failed'];
  if (status === 401) return ['info', 'a token was refused'];
  if (method !== 'POST') return undefined;
  if (route === '/user/signin' && status === 200) return ['info', 'a user signed in'];
  if (route === '/user' && status === 201) return ['info', 'a user signed up'];
  return undefined;
}

/** By the conventions of OpenTelemetry; the path itself may have ids and searches in it. */
const traceFacts = (method: string, route: string, status: number, request: string) => ({
  'http.request.method': method,
  'http.route': route,
  'http.response.status_code': status,
  'parley.request': request,
});

const errorOf = (status: number): string | undefined => (status >= 500 ? String(status) : undefined);

/** Gives each request an id, measures it, and logs it: at `debug`, and what concerns security above. */
function observeRequests(metrics: Metrics, origins: Origins, log: Logger): Koa.Middleware {
  const lines = new BoundedLog(log);
  return async (ctx, next) => {
    const began = performance.now();
    const request = randomUUID();
    ctx.set(REQUEST_ID, request);
    const trace = metrics.traces?.beginRequest(ctx.get('traceparent'));
    await (trace ? trace.run(next) : next());
    const { method, status } = ctx;
    const route = typeof ctx._matchedRoute === 'string' ? ctx._matchedRoute : 'none';
    const ms = performance.now() - began;
    metrics.observeHttpRequest(method, route, status, ms);
    trace?.end(`${method} ${route}`, traceFacts(method, route, status, request), errorOf(status));
    const line = securityLine(ctx, route);
    if (!line && !log.isLevelEnabled('debug')) return;
    const address = origins.addressOf(ctx.req);
    const { user, key } = ctx.state;
    const facts = { request, address, user, ...(key === undefined ? {} : { key }), method, route, status };
    if (line) lines.write(...line, facts);
    log.debug({ ...facts, ms: Math.round(ms) }, 'a request was answered');
  };
}

/**
 * An HTTP server that slow clients cannot hold up: a connection that has sent no complete request within 10 s is
 * closed. Between requests, idle connections live longer than those of proxies (60 s), so that no proxy sends a request
 * into one just closed.
 */
export function createHttpServer(app: Koa): Server {
  return createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 500,
    },
    app.callback(),
  );
}
