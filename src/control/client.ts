import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { errorCodes, ParleyError, unknown } from '../errors.js';
import { type Answered, type Asked, type OperationName, type Operator, operations } from './operations.js';

/** Whether a process takes operations there. Throws if it cannot be known, such as for want of permission. */
export function isServed(path: string): Promise<boolean> {
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
  async function ask<N extends OperationName>(name: N, asked: Asked<N>): Promise<Answered<N>> {
    const answer: unknown = operations[name].answer.parse(await post(path, name, JSON.stringify(asked)));
    return answer as Answered<N>; // That operation's schema has parsed it.
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
