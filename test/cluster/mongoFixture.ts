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
    // Otherwise the driver would bypass the proxy and use the server's own address.
    url.searchParams.set('directConnection', 'true');
    return new MongoFixture(direct, url.href, proxy);
  }

  /** Returns the database for one more node. */
  node(): Db {
    return this.#connect(this.proxied);
  }

  /** Forwards the next request that names this collection, but loses its answer. */
  loseAnswerOf(collection: string): void {
    this.proxy.loseAnswerTo(collection);
  }

  /** Changes stored times, because the database's clock cannot be set. */
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
