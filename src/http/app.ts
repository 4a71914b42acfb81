import { createServer, type Server } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import type { Heads } from '../audit/proof/heads.js';
import { notFound, overloaded } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import type { Progress } from '../projections/queries.js';
import type { WriterThreadClient } from '../writer/writerThreadClient.js';
import { type AccountParts, Accounts } from './accounts.js';
import type { AuditorParts } from './audit/auditAccess.js';
import { type EventParts, serveEvents } from './audit/auditEvents.js';
import { type AuditLogParts, type PastParts, serveAuditLog, servePast } from './audit/auditLog.js';
import { resource } from './auth.js';
import { serveDocuments } from './documents/documents.js';
import { type ExportParts, serveExport } from './export.js';
import { builtPages, servePages } from './pages.js';
import { problems, readQuery, respondWith } from './problems.js';
import { NoFields } from './schemas.js';
import { serveUsers, type UserParts } from './userRoutes.js';

/** A command or a commit that has waited for so long says that its store is away; milliseconds. */
const STALLED_MS = 5000;

/** Whether the node can do its work, and which part of it cannot. */
export type Readiness = { readonly ok: boolean; readonly failing?: string };

/** What a node cannot work without. */
export interface Vital {
  /** It has met an event that a newer version wrote. */
  readonly isRetired: boolean;
  readonly heads: Pick<Heads, 'isBroken'>;
  readonly writers: Pick<WriterThreadClient, 'oldestMs'>;
  readonly progress: Pick<Progress, 'lagMs'>;
  readonly bus: Pick<Bus, 'isConnected'>;
}

/** Whether all of it works now; else the first that does not. */
export function readinessOf({ isRetired, heads, writers, progress, bus }: Vital): Readiness {
  const failing = Object.entries({
    version: isRetired,
    log: heads.isBroken || writers.oldestMs > STALLED_MS,
    projections: progress.lagMs() > STALLED_MS,
    nats: !bus.isConnected,
  }).find(([, fails]) => fails);
  return failing ? { ok: false, failing: failing[0] } : { ok: true };
}

/** For operators: is it alive, can it work, how does it do. */
function serveOperations(router: Router, ready: () => Promise<Readiness>, metrics: Metrics): void {
  // Alive is who answers; a supervisor restarts on this and not on what a database does.
  resource(router, '/health', {
    GET: (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = { status: 'ok' };
    },
  });

  resource(router, '/ready', {
    GET: async (ctx) => {
      readQuery(ctx, NoFields);
      const { ok, failing = 'unknown' } = await ready();
      if (ok) ctx.body = { status: 'ready' };
      else respondWith(ctx, overloaded(`not ready: ${failing}`), { failing });
    },
  });

  resource(router, '/metrics', {
    GET: async (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = await metrics.render();
      ctx.set('Content-Type', metrics.contentType);
    },
  });
}

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
    metrics.observeHttpRequest(ctx.method, route, ctx.status, performance.now() - began);
  };

/**
 * An HTTP server for the application that nobody can hold up: a request's headers must have come within 10 s
 * and the whole of it within 30 s; idle connections are kept longer than proxies keep theirs (60 s), so that
 * none sends a request into a connection just closed.
 */
export function createHttpServer(app: Koa): Server {
  return createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
    },
    app.callback(),
  );
}
