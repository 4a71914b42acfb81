import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { notFound } from '../errors.js';
import type { Metrics } from '../metrics.js';
import type { Readiness } from '../readiness.js';
import { type AccountParts, Accounts } from './accounts.js';
import type { AuditorParts } from './audit/auditor.js';
import { type EventParts, serveEvents } from './audit/events.js';
import { type AuditLogParts, serveAuditLog } from './audit/log.js';
import { type PastParts, servePast } from './audit/past.js';
import { serveDocuments } from './documents/documents.js';
import { problems } from './errors.js';
import { type ExportParts, serveExport } from './export.js';
import { serveOperations } from './operations.js';
import { builtPages, servePages } from './pages.js';
import { serveUsers, type UserParts } from './users.js';

/** What the HTTP side stands on. */
export interface HttpParts
  extends AccountParts,
    Omit<UserParts, 'accounts' | 'sessions'>,
    Pick<ExportParts, 'present' | 'historyOf'>,
    Pick<AuditorParts, 'isAuditor'> {
  readonly auditLog: AuditLogParts;
  readonly auditReader: EventParts['auditReader'] & PastParts['auditReader'];
  readonly ready: () => Promise<Readiness>;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** The Koa application: everything of the contract that is not the socket. */
export function createApp(parts: HttpParts): Koa {
  const app = new Koa();
  const router = new Router({ sensitive: true });
  serveDocuments(router);
  serveOperations(router, parts.ready, parts.metrics);
  serveUsers(router, { ...parts, accounts: new Accounts(parts), sessions: parts.vault.sessions });

  serveExport(router, { ...parts, sessions: parts.vault.sessions });
  serveAuditLog(router, { ...parts, ...parts.auditLog, sessions: parts.vault.sessions });
  serveEvents(router, { ...parts, sessions: parts.vault.sessions });
  servePast(router, { ...parts, sessions: parts.vault.sessions });

  app.use(measured(parts.metrics));
  app.use(guarded);
  app.use(problems(parts.log));
  app.use(servePages(builtPages()));
  app.use(router.routes());
  app.use(() => {
    throw notFound('there is nothing at this path');
  });
  // Only what befalls an answer already under way comes here, such as a client that has gone.
  app.on('error', (err: unknown) => parts.log.debug({ err }, 'an answer was not delivered'));
  return app;
}

/** What no answer should be without; a page sets a policy of its own. */
const guarded: Koa.Middleware = (ctx, next) => {
  ctx.set({
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  });
  return next();
};

const measured =
  (metrics: Metrics): Koa.Middleware =>
  async (ctx, next) => {
    const began = performance.now();
    await next();
    const route = typeof ctx._matchedRoute === 'string' ? ctx._matchedRoute : 'none';
    metrics.httpRequest(ctx.method, route, ctx.status, performance.now() - began);
  };
