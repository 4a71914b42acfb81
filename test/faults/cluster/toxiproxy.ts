import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { freePort } from '../../support/freePort.js';
import { BackgroundServer } from './background.js';

/** What a proxy does to a connection, as toxiproxy names it; `downstream`: to what the server answers. */
export interface Toxic {
  readonly type: 'latency' | 'timeout' | 'reset_peer';
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

/**
 * The binary of toxiproxy-server: `TOXIPROXY_SERVER`, else the one on the PATH. Undefined where there is none: leave
 * the suite out. With `CI=true` that is an error.
 */
export function toxiproxyBinary(): string | undefined {
  const path = process.env.TOXIPROXY_SERVER || 'toxiproxy-server';
  if (spawnSync(path, ['-version'], { stdio: 'ignore' }).status === 0) return path;
  if (process.env.CI === 'true')
    throw new Error('CI needs a toxiproxy-server: set TOXIPROXY_SERVER to the binary');
  console.warn('left out: faults across nodes; to run them, set TOXIPROXY_SERVER to the binary');
  return undefined;
}

/** A process of toxiproxy (github.com/Shopify/toxiproxy) with any number of proxies. */
export class Toxiproxy {
  private constructor(private readonly server: BackgroundServer) {}

  /** @param command the binary of toxiproxy-server */
  static async start(command: string): Promise<Toxiproxy> {
    const port = await freePort();
    const server = new BackgroundServer(command, ['-host', '127.0.0.1', '-port', `${port}`], port);
    await server.start();
    return new Toxiproxy(server);
  }

  /** A proxy of its own to `upstream` (host:port). */
  async proxyTo(upstream: string, name: string): Promise<BreakableWay> {
    const made = await this.ask('POST', '/proxies', { name, upstream, listen: '127.0.0.1:0' });
    // Its documented answer.
    return new BreakableWay(this, name, (made as { listen: string }).listen);
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** A request to its API; rejects when it is refused. */
  async ask(method: string, path: string, body?: object): Promise<unknown> {
    // A connection of its own: one that is kept may be closed by the other side while it is taken up again.
    const asked = request({ host: '127.0.0.1', port: this.server.port, method, path, agent: false });
    asked.end(body && JSON.stringify(body));
    // What this event brings.
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const said = await text(response);
    if (!String(response.statusCode).startsWith('2'))
      throw new Error(`toxiproxy refused ${method} ${path}: ${said}`);
    return said === '' ? undefined : JSON.parse(said);
  }
}

/** One proxy: lets all through unless it is told otherwise. */
export class BreakableWay {
  constructor(
    private readonly toxiproxy: Toxiproxy,
    private readonly name: string,
    /** host:port */
    readonly address: string,
  ) {}

  /** Ends every connection, and refuses new ones. */
  async cut(): Promise<void> {
    await this.toxiproxy.ask('POST', `/proxies/${this.name}`, { enabled: false });
  }

  /** Of one kind and stream there is one at most: a second replaces nothing and is refused. */
  async poison(toxic: Toxic): Promise<void> {
    await this.toxiproxy.ask('POST', `/proxies/${this.name}/toxics`, toxic);
  }

  /** Takes connections and lets all through again. */
  async restore(): Promise<void> {
    await this.toxiproxy.ask('POST', `/proxies/${this.name}`, { enabled: true });
    // A list, as documented.
    const toxics = (await this.toxiproxy.ask('GET', `/proxies/${this.name}/toxics`)) as { name: string }[];
    for (const { name } of toxics) await this.toxiproxy.ask('DELETE', `/proxies/${this.name}/toxics/${name}`);
  }
}
