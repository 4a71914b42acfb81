import type Router from '@koa/router';
import { overloaded } from '../errors.js';
import type { Metrics } from '../metrics.js';
import type { Readiness } from '../readiness.js';
import { respondWith } from './errors.js';
import { readQuery } from './input.js';
import { resource } from './resource.js';
import { NoFields } from './schemas.js';

/** For operators: is it alive, can it work, how does it do. */
export function serveOperations(router: Router, ready: () => Promise<Readiness>, metrics: Metrics): void {
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
      ctx.body = await metrics.text();
      ctx.set('Content-Type', metrics.contentType);
    },
  });
}
