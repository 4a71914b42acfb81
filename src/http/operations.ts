import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Heads } from '../audit/proof/heads.js';
import { notFound, overloaded } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import { Time } from '../domain/fields.js';
import type { Progress } from '../projections/queryWaits.js';
import { type RoleParts, requireRole, serveResource } from './auth.js';
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
  readonly storage: () => Promise<StorageFigures>;
}

/** For operators: liveness and readiness, and metrics if no other port serves them. */
export function mountOperations(
  router: Router,
  { ready, metrics, isMetricsPublic }: Omit<OperationParts, 'storage'>,
): void {
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

const Bytes = z.int().min(0).nullable().meta({ description: 'Null if the store does not tell.' });
const Count = z.int().min(0);

export const StorageAnswer = z.strictObject({
  measuredAt: Time.meta({ description: 'At most 5 s ago.' }),
  engine: z.enum(['embedded', 'mongodb']),
  log: z.strictObject({
    partitions: z.int().min(1),
    events: Count,
    bytes: Bytes,
    oldest: Time.nullable().meta({ description: 'The time of the first commit; null in an empty log.' }),
    newest: Time.nullable().meta({ description: 'The time of the last commit.' }),
  }),
  vault: z.strictObject({ bytes: Bytes }),
  readModels: z.strictObject({
    bytes: Bytes,
    events: Count.meta({ description: 'The events of the log that they contain, as this node knows.' }),
    lagEvents: Count.meta({ description: 'The events that they do not contain yet.' }),
    lagSeconds: z.number().min(0).meta({
      description: 'The age of the oldest of these in the partitions of this node.',
    }),
  }),
  disk: z
    .strictObject({ freeBytes: Count, totalBytes: Count })
    .exactOptional()
    .meta({ description: 'Of the embedded engine: the disk of `DATA_DIR`.' }),
  lastBackup: z.strictObject({ madeAt: Time, events: Count }).exactOptional().meta({
    description:
      'Of the embedded engine: the last `parley backup` of this `DATA_DIR`, with the events that it has. Absent if there was none.',
  }),
  subscriptions: z
    .array(
      z.strictObject({
        id: z.string(),
        lagEvents: Count,
        lagSeconds: z.number().min(0),
        failing: z
          .strictObject({ since: Time, status: z.union([z.int(), z.string()]), next: Time })
          .exactOptional(),
        paused: z.boolean(),
      }),
    )
    .meta({ description: 'Those that lag, fail or are paused.' }),
});
export type StorageFigures = z.infer<typeof StorageAnswer>;

/** The bytes of each store; null if it does not tell. */
export interface StoredBytes {
  readonly log: number | null;
  readonly vault: number | null;
  readonly readModels: number | null;
}

/** What is stored, for admins. No read is recorded, as of `/metrics`: the figures are of no user, and pages poll them. */
export function mountAdminStorage(
  router: Router,
  roles: RoleParts,
  storage: () => Promise<StorageFigures>,
): void {
  serveResource(router, '/admin/storage', {
    GET: requireRole(
      roles,
      'admin',
    )(async (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = await storage();
    }),
  });
}

/** The application of the port for metrics: `/metrics`, `/health` and `/ready`, and nothing else. */
export function createOperationsApp(parts: Omit<OperationParts, 'storage'>, log: Logger): Koa {
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
