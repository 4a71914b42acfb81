import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Argument, type Command } from 'commander';
import pino from 'pino';
import { z } from 'zod';
import { engineOf } from '../app/openStores.js';
import {
  controlSocketOf,
  type OperationAnswer,
  type OperationInput,
  type OperationName,
  type Operator,
  operations,
} from '../app/operator.js';
import { exitOn } from '../app/serve.js';
import { startSystem } from '../app/system.js';
import { openSource } from '../audit/storedRows.js';
import { type Config, readConfig } from '../base/config.js';
import { errorCodes, ParleyError, unknown } from '../base/errors.js';
import { DataDirInUse } from '../log/dataDir.js';
import { projectionNames } from '../projections/allProjections.js';
import { say } from './arguments.js';

/** Whether a process takes operations there. Throws if it cannot be known, such as for want of permission. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A killed process leaves its socket, and nobody behind it.
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}

/** Operates the system behind this socket. */
export function remoteOperator(path: string): Operator {
  async function ask<N extends OperationName>(
    name: N,
    asked: OperationInput<N>,
  ): Promise<OperationAnswer<N>> {
    const answer: unknown = operations[name].answer.parse(await post(path, name, JSON.stringify(asked)));
    return answer as OperationAnswer<N>; // That operation's schema has parsed it.
  }
  return {
    role: (asked) => ask('role', asked),
    rebuild: (asked) => ask('rebuild', asked),
    accept: (asked) => ask('accept', asked),
    rotateKey: (asked) => ask('rotateKey', asked),
  };
}

const Problem = z.object({
  code: z.enum(errorCodes),
  detail: z.string(),
  incident: z.string().optional(),
});

/** Waits as long as it takes: a rebuild of a large log takes hours. */
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
    throw unknown('the server went before it answered; it may have happened', cause);
  }
  const parsed: unknown = JSON.parse(answer);
  if (status < 400) return parsed;
  const { code, detail, incident } = Problem.parse(parsed);
  const more = incident === undefined ? '' : `; its log says more of incident ${incident}`;
  throw new ParleyError(code, detail + more);
}

/** A server that starts or stops has the directory, and takes no operations: it is waited for so long. */
const PATIENCE_MS = 20_000;
const RETRY_MS = 200;

/**
 * Works with the server that runs in the data directory; where none runs, with a system of its own that serves nobody
 * and is stopped after it. Makes no new log. Throws what starting throws, and what the work does.
 */
export async function withOperator<T>(config: Config, work: (operator: Operator) => Promise<T>): Promise<T> {
  const path = controlSocketOf(config.DATA_DIR);
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    if (await isServed(path)) return work(remoteOperator(path));
    const source = await openSource(engineOf(config));
    await source.close();
    try {
      return await alone(config, work);
    } catch (error) {
      if (!(error instanceof DataDirInUse) || performance.now() > giveUpAt) throw error;
      await delay(RETRY_MS);
    }
  }
}

async function alone<T>(config: Config, work: (operator: Operator) => Promise<T>): Promise<T> {
  const logger = pino({ level: 'error' }, pino.destination({ dest: 2, sync: true }));
  const system = await startSystem(config, logger, exitOn(logger), { isServing: false });
  try {
    return await work(system.operator);
  } finally {
    await system.stop();
  }
}

export function addRole(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('role')
    .description(
      'give a user a role, or take it away: an auditor may read all that happened, and what they read is recorded',
    )
    .addArgument(new Argument('<role>', 'the only one there is').choices(['auditor']))
    .argument('<username>', 'who has signed up by this name')
    .option('--remove', 'take it away')
    .action(async (_role: string, username: string, { remove = false }: { remove?: boolean }) => {
      const isAuditor = !remove;
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.role({ username, isAuditor }),
      );
      const now = isAuditor ? 'an auditor' : 'no auditor';
      say(`${username} is ${now}${changed ? ' now' : ', as before'}`);
    });
}

export function addKey(program: Command, env: NodeJS.ProcessEnv): void {
  const key = program.command('key').description('the key that signs the heads of the log');
  key
    .command('rotate')
    .description('sign with a new key from now on; earlier ones are still told, for what they have signed')
    .action(async () => {
      const { keys } = await withOperator(readConfig(env), (operator) => operator.rotateKey({}));
      for (const line of keys) say(line);
    });
}

export function addRebuild(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('rebuild')
    .description(
      'build a projection anew from the log, beside the one that is read until then: the system goes on meanwhile',
    )
    .addArgument(new Argument('<projection>', 'which one').choices(projectionNames))
    .action(async (projection: string) => {
      await withOperator(readConfig(env), (operator) => operator.rebuild({ projection }));
      say(`${projection} was built anew and is what is read now`);
    });
}
