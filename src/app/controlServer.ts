import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { ConfigError } from '../base/config.js';
import { notFound } from '../base/errors.js';
import { problems, readBody } from '../http/problems.js';
import { type Asked, controlSocketOf, type OperationName, type Operator, operations } from './operator.js';

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

/** What every system takes as the address of a socket; a longer one would be cut off without a word. */
const MAX_PATH_BYTES = 100;

/** Throws `ConfigError` for a data directory whose control socket's path no system would take. */
export function checkControlPath(dataDir: string): void {
  if (Buffer.byteLength(controlSocketOf(dataDir)) > MAX_PATH_BYTES)
    throw new ConfigError(`DATA_DIR: the path of control.sock in it is longer than ${MAX_PATH_BYTES} bytes`);
}

/**
 * Serves the application on the data directory's control socket, for its owner only (0600). This process must have
 * the directory: a socket that is there was left by one that was killed, and is replaced. `close` removes it, and lets
 * go of those who wait.
 */
export async function serveControl(dataDir: string, app: Koa): Promise<{ close(): Promise<void> }> {
  const path = controlSocketOf(dataDir);
  rmSync(path, { force: true });
  const server = createServer(app.callback());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // Until now the directory's own mode has kept others away.
  chmodSync(path, 0o600);
  return {
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}
