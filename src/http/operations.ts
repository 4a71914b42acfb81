import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import type { Heads } from '../audit/proof/heads.js';
import { notFound, overloaded } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import type { Progress } from '../projections/queryWaits.js';
import { serveResource } from './auth.js';
import { readQuery, respondToErrors, respondWith } from './problems.js';
import { NoFields } from './schemas.js';

/** The age of the oldest command or unfolded commit from which its store counts as down. */
const STALLED_MS = 5000;

/** Whether the node can do its work; `failing` names a part that cannot, `warnings` what an operator must see to. */
export type Readiness = {
  readonly ok: boolean;
  readonly failing?: string;
  readonly warnings?: readonly 'clock'[];
};

/** Everything that a node cannot work without. */
export interface VitalParts {
  /** Whether the node has met an event of a newer version. */
  readonly isRetired: boolean;
  readonly heads: Pick<Heads, 'isBroken'>;
  readonly writers: { readonly oldestMs: number };
  readonly progress: Pick<Progress, 'lagMs'>;
  readonly bus: Pick<Bus, 'isConnected'>;
}

/** What the node has found out about its directory and its clock. */
export interface Findings {
  /** The part whose file was deleted or replaced. */
  readonly lost: string | undefined;
  /** Whether the log's last time is far ahead of the clock. */
  readonly isAhead: boolean;
}

/** Checks the parts now, and names the first that does not work. */
export function checkReadiness(
  { isRetired, heads, writers, progress, bus }: VitalParts,
  { lost, isAhead }: Findings,
): Readiness {
  const warnings = isAhead ? { warnings: ['clock'] as const } : {};
  if (lost !== undefined) return { ok: false, failing: lost, ...warnings };
  const failing = Object.entries({
    version: isRetired,
    log: heads.isBroken || writers.oldestMs > STALLED_MS,
    projections: progress.lagMs() > STALLED_MS,
    nats: !bus.isConnected,
  }).find(([, fails]) => fails);
  return failing ? { ok: false, failing: failing[0], ...warnings } : { ok: true, ...warnings };
}

export interface OperationParts {
  readonly ready: () => Promise<Readiness>;
  readonly metrics: Metrics;
  /** Whether the clients' port serves the metrics; false: another port does. */
  readonly isMetricsPublic: boolean;
}

/** For operators: liveness and readiness, and metrics if no other port serves them. */
export function mountOperations(router: Router, { ready, metrics, isMetricsPublic }: OperationParts): void {
  serveResource(router, '/health', {
    GET: (ctx) => {
      readQuery(ctx, NoFields);
      // It looks at nothing: a restart would not bring a database back.
      ctx.body = { status: 'ok' };
    },
  });

  serveResource(router, '/ready', {
    GET: async (ctx) => {
      readQuery(ctx, NoFields);
      const { ok, failing = 'unknown', warnings } = await ready();
      const warned = warnings ? { warnings } : {};
      if (ok) ctx.body = { status: 'ready', ...warned };
      else respondWith(ctx, overloaded(`not ready: ${failing}`), { failing, ...warned });
    },
  });

  if (isMetricsPublic) mountMetrics(router, metrics);
}

function mountMetrics(router: Router, metrics: Metrics): void {
  serveResource(router, '/metrics', {
    GET: async (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = await metrics.render();
      ctx.set('Content-Type', metrics.contentType);
    },
  });
}

/** The application of the port for metrics: `/metrics`, `/health` and `/ready`, and nothing else. */
export function createOperationsApp(parts: OperationParts, log: Logger): Koa {
  const app = new Koa();
  const router = new Router({ sensitive: true, strict: true });
  mountOperations(router, { ...parts, isMetricsPublic: true });
  app.use(respondToErrors(log));
  app.use(router.routes());
  app.use(() => {
    throw notFound('this port has /metrics, /health and /ready');
  });
  app.on('error', (err: unknown) => log.debug({ err }, 'an answer was not delivered'));
  return app;
}
