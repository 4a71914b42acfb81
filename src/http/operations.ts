import type Router from '@koa/router';
import type { Heads } from '../audit/proof/heads.js';
import { overloaded } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import type { Progress } from '../projections/queryWaits.js';
import { serveResource } from './auth.js';
import { readQuery, respondWith } from './problems.js';
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
}

/** For operators: liveness, readiness and metrics. */
export function mountOperations(router: Router, { ready, metrics }: OperationParts): void {
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

  serveResource(router, '/metrics', {
    GET: async (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = await metrics.render();
      ctx.set('Content-Type', metrics.contentType);
    },
  });
}
