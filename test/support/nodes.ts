import { randomBytes } from 'node:crypto';
import { eventually } from './eventually.js';
import { freshDatabase } from './mongo.js';
import { natsUrl } from './nats.js';
import { ServerProcess } from './server.js';

const NODES = 2;

/**
 * Real nodes on one database and one bus, which whoever uses them takes for one server: each time its address is
 * asked for, the next node's is given. Two connections made one after the other are so on different nodes, and so
 * are two requests over REST.
 */
export class Nodes {
  readonly #nodes: readonly ServerProcess[];
  #urls = 0;
  #wsUrls = 0;
  #restarts = 0;

  /** On data of their own; they are to be started. */
  static async fresh(env: Readonly<Record<string, string>>): Promise<Nodes> {
    const nats = await natsUrl();
    if (nats === undefined) throw new Error('there is no NATS server: ask natsUrl() first');
    const shared = {
      MONGO_URL: await freshDatabase(),
      NATS_URL: nats,
      MASTER_KEY: randomBytes(32).toString('base64'),
    };
    return new Nodes({ ...shared, ...env });
  }

  private constructor(env: Readonly<Record<string, string>>) {
    this.#nodes = Array.from({ length: NODES }, () => new ServerProcess({ engine: 'mongodb', env }));
  }

  /** Of the next node in turn. */
  get url(): string {
    return this.#at(this.#urls++).url;
  }
  /** Of the next node in turn. */
  get wsUrl(): string {
    return this.#at(this.#wsUrls++).wsUrl;
  }

  /** With these the command line finds one of them. */
  get settings(): Readonly<Record<string, string>> {
    return this.#at(0).settings;
  }

  /** Resolves when all listen, and each owns a part of the log. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    // The first makes the log.
    for (const node of this.#nodes) await node.start(env);
    await eventually('every node owns partitions', async () =>
      (await Promise.all(this.#nodes.map(ownsSome))).every((ownsAny) => ownsAny),
    );
  }

  /** Restarts the next node in turn, while the others serve. */
  async restart(): Promise<void> {
    await this.#at(this.#restarts++).restart();
  }

  /** Asks all of them to stop, at once. */
  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }

  /** Kills all of them, at once. */
  async kill(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.kill()));
  }

  #at(turn: number): ServerProcess {
    const node = this.#nodes[turn % NODES];
    if (!node) throw new Error('there are no nodes');
    return node;
  }
}

async function ownsSome(node: ServerProcess): Promise<boolean> {
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  return /^parley_partitions_owned [1-9]/m.test(metrics);
}
