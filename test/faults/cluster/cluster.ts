import { randomBytes } from 'node:crypto';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/freePort.js';
import type { Engine as EngineKind, ServerOptions } from '../../support/server.js';
import { BackgroundServer } from './background.js';
import { ClusterNode } from './node.js';
import { StoreCheck } from './storeCheck.js';
import { Toxiproxy } from './toxiproxy.js';

export interface ClusterOptions {
  readonly nodes: number;
  /** The URL of a database of its own; without it, one node on the embedded engine. */
  readonly database?: string;
  /** The binary of nats-server; without it there is no bus, and so one node. */
  readonly natsServer?: string;
  /** The binary of toxiproxy-server; without it the way to the database cannot be broken. */
  readonly toxiproxyServer?: string;
}

/** Nodes on one database, each with its own way to it, and their bus; all of it stops with this process. */
export class Cluster {
  private constructor(
    readonly nodes: readonly ClusterNode[],
    /** The bus between them. */
    readonly nats: BackgroundServer | undefined,
    readonly store: StoreCheck,
    private readonly toxiproxy: Toxiproxy | undefined,
  ) {}

  /** Starts everything; resolves when every node is ready. */
  static async start({ nodes: count, ...options }: ClusterOptions): Promise<Cluster> {
    const { database, natsServer, toxiproxyServer } = options;
    const nats = natsServer === undefined ? undefined : await startNats(natsServer);
    const toxiproxy = toxiproxyServer === undefined ? undefined : await Toxiproxy.start(toxiproxyServer);
    const kind: EngineKind = database === undefined ? 'sqlite' : 'mongodb';
    const env: Record<string, string> = {
      MASTER_KEY: randomBytes(32).toString('base64'),
      RATE_LIMIT: 'off',
      ...(nats ? { NATS_URL: `nats://127.0.0.1:${nats.port}` } : {}),
    };
    const nodes: ClusterNode[] = [];
    for (let n = 0; n < count; n++) {
      const name = `node${n}`;
      const proxy = database && (await toxiproxy?.proxyTo(hostOf(database), name));
      const url = database && proxy ? through(database, proxy.address) : database;
      const server: ServerOptions = { engine: kind, env: { ...env, ...(url ? { MONGO_URL: url } : {}) } };
      nodes.push(new ClusterNode(name, server, proxy || undefined));
    }
    // The first makes the log.
    for (const node of nodes) await node.start();
    const [first] = nodes;
    if (!first) throw new Error('a cluster has a node at least');
    const store = await StoreCheck.open(
      database === undefined
        ? { kind: 'sqlite', dataDir: first.dataDir }
        : { kind: 'mongodb', url: database },
    );
    const cluster = new Cluster(nodes, nats, store, toxiproxy);
    await cluster.ready();
    return cluster;
  }

  /** Resolves when every node says that it is ready; rejects after a minute. */
  async ready(): Promise<void> {
    for (const node of this.nodes) await eventually(`${node.name} is ready`, () => node.isReady());
  }

  /** Stops everything, cleanly where it can. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end('SIGTERM')));
    await this.store.close();
    await this.nats?.stop();
    await this.toxiproxy?.stop();
  }
}

async function startNats(command: string): Promise<BackgroundServer> {
  const port = await freePort();
  const server = new BackgroundServer(command, ['-a', '127.0.0.1', '-p', `${port}`], port);
  await server.start();
  return server;
}

function hostOf(database: string): string {
  const { hostname, port } = new URL(database);
  return `${hostname}:${port || 27017}`;
}

/** The same database by way of a proxy; the driver must not learn the server's own address, and go past it. */
function through(database: string, address: string): string {
  const url = new URL(database);
  url.host = address;
  url.searchParams.delete('replicaSet');
  url.searchParams.set('directConnection', 'true');
  return url.href;
}
