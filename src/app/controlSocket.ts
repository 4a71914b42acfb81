import { chmodSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ERROR_CODES, notFound, outcomeUnknown, ParleyError } from '../base/errors.js';
import { ConfigError } from '../base/settings.js';
import { readBody, respondToErrors } from '../http/problems.js';
import {
  controlSocketOf,
  type OperationAnswer,
  type OperationInput,
  type OperationName,
  type Operator,
  operations,
} from './operator.js';

/** Takes operations as `POST /<name>` with JSON; errors are problem details, as in REST. */
export function createControlApp(operator: Operator, log: Logger): Koa {
  const app = new Koa();
  const router = new Router({ sensitive: true });
  // The type of `Object.keys` does not say that these are the keys of `operations`.
  for (const name of Object.keys(operations) as OperationName[]) mountOperation(router, operator, name);
  app.use(respondToErrors(log));
  app.use(router.routes());
  app.use(() => {
    throw notFound('this server does not have the operation: use a command line of the same version');
  });
  app.on('error', (err: unknown) => log.debug({ err }, 'an answer was not delivered'));
  return app;
}

function mountOperation<N extends OperationName>(router: Router, operator: Operator, name: N): void {
  router.post(`/${name}`, async (ctx) => {
    const input: unknown = await readBody(ctx, operations[name].input);
    ctx.body = await operator[name](input as OperationInput<N>); // That operation's schema has parsed it.
  });
}

/** Every operating system accepts socket paths of this length; some truncate longer ones silently. */
const MAX_PATH_BYTES = 100;

/** Throws `ConfigError` for a data directory whose control socket would have too long a path. */
export function checkControlPath(dataDir: string): void {
  if (Buffer.byteLength(controlSocketOf(dataDir)) > MAX_PATH_BYTES)
    throw new ConfigError(
      `DATA_DIR: choose a shorter path, as that of control.sock in it is longer than ${MAX_PATH_BYTES} bytes`,
    );
}

/**
 * Serves the application on the data directory's control socket, for the directory's owner only (0600). This process
 * must hold the directory's lock: a socket found there was left by a killed process, and is replaced. `close` removes
 * the socket and disconnects those who wait.
 */
export async function serveControl(dataDir: string, app: Koa): Promise<{ close(): Promise<void> }> {
  const path = controlSocketOf(dataDir);
  rmSync(path, { force: true });
  const server = createServer(app.callback());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // Before this, the mode of the directory keeps other users out.
  chmodSync(path, 0o600);
  return {
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

/** Whether a process takes operations on this socket. Throws if that cannot be known, such as without permission. */
export function isControlServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A killed process leaves its socket file behind, and nobody accepts connections on it.
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}

/** Operates the system that serves this socket. */
export function remoteOperator(path: string): Operator {
  async function ask<N extends OperationName>(
    name: N,
    input: OperationInput<N>,
  ): Promise<OperationAnswer<N>> {
    const answer: unknown = operations[name].answer.parse(await post(path, name, JSON.stringify(input)));
    return answer as OperationAnswer<N>; // That operation's schema has parsed it.
  }
  // The type of `Object.keys` does not say that these are the keys of `operations`.
  const names = Object.keys(operations) as OperationName[];
  // Each operation is asked for under its own name.
  return Object.fromEntries(
    names.map((name) => [name, (input: OperationInput<OperationName>) => ask(name, input)]),
  ) as Operator;
}

const ProblemAnswer = z.object({
  code: z.enum(ERROR_CODES),
  detail: z.string(),
  incident: z.string().optional(),
});

/** Waits without a time limit: a rebuild of a large log takes hours. */
async function post(socketPath: string, name: string, body: string): Promise<unknown> {
  let status: number;
  let answer: string;
  try {
    [status, answer] = await new Promise<[number, string]>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const asking = request({ socketPath, path: `/${name}`, method: 'POST', headers }, (response) => {
        text(response).then((whole) => resolve([response.statusCode ?? 0, whole]), reject);
      });
      asking.once('error', reject);
      asking.end(body);
    });
  } catch (cause) {
    throw outcomeUnknown('the server stopped before it answered: check whether the change was made', cause);
  }
  const parsed: unknown = JSON.parse(answer);
  if (status < 400) return parsed;
  const { code, detail, incident } = ProblemAnswer.parse(parsed);
  const hint = incident === undefined ? '' : ` (incident ${incident} in its log)`;
  throw new ParleyError(code, detail + hint);
}
