import type { Db, Document, MongoClient } from 'mongodb';
import { createClusterClient } from '../../src/cluster/mongoCluster.js';
import { type DeafProxy, deafProxy } from '../log/deafProxy.js';
import { freshDatabase } from '../support/mongo.js';

/** A new database, and nodes that reach it through a network that can lose answers. */
export class MongoFixture {
  readonly #clients: MongoClient[] = [];
  readonly #direct: Db;

  private constructor(
    direct: string,
    private readonly proxied: string,
    private readonly proxy: DeafProxy,
  ) {
    this.#direct = this.#connect(direct);
  }

  static async open(): Promise<MongoFixture> {
    const direct = await freshDatabase();
    const url = new URL(direct);
    const proxy = await deafProxy({ host: url.hostname, port: Number(url.port) });
    url.host = `127.0.0.1:${proxy.port}`;
    // Else the driver would go round the proxy, to the address that the server has of itself.
    url.searchParams.set('directConnection', 'true');
    return new MongoFixture(direct, url.href, proxy);
  }

  /** The database as one more node has it. */
  node(): Db {
    return this.#connect(this.proxied);
  }

  /** The next request that names this collection is carried out, and its answer lost. */
  loseAnswerOf(collection: string): void {
    this.proxy.loseAnswerTo(collection);
  }

  /** Moves times that the database has noted: its clock cannot be set. */
  async rewrite(collection: string, set: Document, where: Document = {}): Promise<void> {
    await this.#direct.collection(collection).updateMany(where, [{ $set: set }]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.proxy.goDown();
  }

  #connect(url: string): Db {
    const client = createClusterClient(url);
    this.#clients.push(client);
    return client.db();
  }
}
