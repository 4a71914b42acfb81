import type Router from '@koa/router';
import type { Heads } from '../audit/proof/heads.js';
import { overloaded } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import type { Progress } from '../projections/queryWaits.js';
import type { WriterThreadClient } from '../writer/writerThreadClient.js';
import { serveResource } from './auth.js';
import { readQuery, respondWith } from './problems.js';
import { NoFields } from './schemas.js';

/** The age of the oldest command or unfolded commit from which its store counts as down. */
const STALLED_MS = 5000;

/** Whether the node can do its work; `failing` names a part that cannot. */
export type Readiness = { readonly ok: boolean; readonly failing?: string };

/** Everything that a node cannot work without. */
export interface VitalParts {
  /** Whether the node has met an event of a newer version. */
  readonly isRetired: boolean;
  readonly heads: Pick<Heads, 'isBroken'>;
  readonly writers: Pick<WriterThreadClient, 'oldestMs'>;
  readonly progress: Pick<Progress, 'lagMs'>;
  readonly bus: Pick<Bus, 'isConnected'>;
}

/** Checks the parts now, and names the first that does not work. */
export function checkReadiness({ isRetired, heads, writers, progress, bus }: VitalParts): Readiness {
  const failing = Object.entries({
    version: isRetired,
    log: heads.isBroken || writers.oldestMs > STALLED_MS,
    projections: progress.lagMs() > STALLED_MS,
    nats: !bus.isConnected,
  }).find(([, fails]) => fails);
  return failing ? { ok: false, failing: failing[0] } : { ok: true };
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
      const { ok, failing = 'unknown' } = await ready();
      if (ok) ctx.body = { status: 'ready' };
      else respondWith(ctx, overloaded(`not ready: ${failing}`), { failing });
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
