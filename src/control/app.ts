import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { notFound } from '../errors.js';
import { problems } from '../http/errors.js';
import { readBody } from '../http/input.js';
import { type Asked, type OperationName, type Operator, operations } from './operations.js';

/** Takes operations as `POST /<name>` with JSON; errors are problem details, as over HTTP. */
export function createControlApp(operator: Operator, log: Logger): Koa {
  const app = new Koa();
  const router = new Router({ sensitive: true });
  // They are the keys of `operations`, and `Object.keys` does not say so.
  for (const name of Object.keys(operations) as OperationName[]) takeOperation(router, operator, name);
  app.use(problems(log));
  app.use(router.routes());
  app.use(() => {
    throw notFound('there is no such operation: the server may be of another version');
  });
  app.on('error', (err: unknown) => log.debug({ err }, 'an answer was not delivered'));
  return app;
}

function takeOperation<N extends OperationName>(router: Router, operator: Operator, name: N): void {
  router.post(`/${name}`, async (ctx) => {
    const asked: unknown = await readBody(ctx, operations[name].asked);
    ctx.body = await operator[name](asked as Asked<N>); // That operation's schema has parsed it.
  });
}
