import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { eventually } from './eventually.js';
import { freePort } from './freePort.js';

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

let found: Promise<string | undefined> | undefined;
let binary: { readonly path: string | undefined } | undefined;

/** The binary of nats-server: `NATS_SERVER`, else the one on the PATH. Undefined where there is none, as `natsUrl`. */
export function natsServerBinary(): string | undefined {
  binary ??= { path: findBinary() };
  return binary.path;
}

function findBinary(): string | undefined {
  const path = process.env.NATS_SERVER || 'nats-server';
  if (spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0) return path;
  if (process.env.CI === 'true') throw new Error('CI needs a nats-server: set NATS_SERVER to the binary');
  console.warn('left out: suites that start NATS servers; to run them, set NATS_SERVER to the binary');
  return undefined;
}

/**
 * A NATS server to test against: `NATS_URL` if set, else one of our own for the run. Undefined where there is none:
 * leave the suite out. With `CI=true` that is an error.
 */
export function natsUrl(): Promise<string | undefined> {
  found ??= findServer();
  return found;
}

async function findServer(): Promise<string | undefined> {
  const given = process.env.NATS_URL;
  if (given) {
    const { hostname, port } = new URL(given);
    if (!(await greets(Number(port || 4222), hostname)))
      throw new Error('NATS_URL is set, but nothing answers there');
    return given;
  }
  if (natsServerBinary() === undefined) return undefined;
  return (await startNats()).url();
}

/** A server of the test's own, on a port of its own, with these arguments. It goes with the process. */
export async function startNats(args: readonly string[] = []): Promise<NatsServerProcess> {
  const path = natsServerBinary();
  if (path === undefined) throw new Error('there is no nats-server: ask natsServerBinary() first');
  const server = new NatsServerProcess(path, await freePort(), args);
  await server.start();
  return server;
}

/** A nats-server that may be stopped, and started again on the same port. */
export class NatsServerProcess {
  #child: ChildProcess | undefined;

  constructor(
    private readonly path: string,
    readonly port: number,
    private readonly args: readonly string[],
  ) {}

  /** `before`: what stands before the host, such as `tls://` or `nats://user:password@`. */
  url(before = 'nats://'): string {
    return `${before}127.0.0.1:${this.port}`;
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const child = spawn(this.path, ['-a', '127.0.0.1', '-p', String(this.port), ...this.args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    let said = '';
    child.stderr.on('data', (text) => {
      said = `${said}${text}`.slice(-10_000);
    });
    child.once('exit', () => running.delete(child));
    await eventually('nats-server greets', async () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended:\n${said}`);
      return greets(this.port);
    });
  }

  /** Kills it, and resolves when it is gone. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

/** Whether a NATS server says its INFO there. */
async function greets(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    const [said] = await once(socket, 'data', { signal: AbortSignal.timeout(5000) });
    return String(said).startsWith('INFO ');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

// Of the whole run: registered when the first suite that needs a server is loaded.
before('find a NATS server', async () => {
  await natsUrl();
});
