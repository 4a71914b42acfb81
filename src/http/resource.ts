import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { HttpError } from './errors.js';

export type Handler = (ctx: RouterContext) => Promise<void> | void;

/** The methods of one path. */
export type Methods = Partial<Record<'GET' | 'POST' | 'PUT' | 'DELETE', Handler>>;

/**
 * Serves a path: `HEAD` comes with `GET`, `OPTIONS` names the methods, any other is 405 with `Allow`. A path
 * belongs to the first resource that matches it, so that literal ones are to be given before those with parameters.
 */
export function resource(router: Router, path: string, methods: Methods): void {
  const allow = [...Object.keys(methods), ...(methods.GET ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ');
  const serve = (method: string): Handler | undefined =>
    methods[(method === 'HEAD' ? 'GET' : method) as keyof Methods]; // Any other key is undefined in it.
  router.all(path, async (ctx) => {
    const handler = serve(ctx.method);
    if (handler) return handler(ctx);
    if (ctx.method !== 'OPTIONS')
      throw new HttpError(405, `${ctx.method} is not for this path`, { Allow: allow });
    ctx.set('Allow', allow);
    ctx.status = 204;
  });
}
