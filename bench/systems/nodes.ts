import { randomBytes, randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { mapLimited } from '../batches.js';
import { ServerProcess } from '../server.js';
import { temporaryDirectory } from '../temporary.js';
import { WireConnection } from '../wire/connection.js';
import { parleyDialect } from '../wire/parley.js';
import { createUser, lagOf, parleyProgram } from './parley.js';
import type { BenchUser } from './system.js';

const atOnce = 16;

/** Several nodes of one Parley cluster, on one MongoDB database and one NATS server. */
export class Nodes {
  readonly dialect = parleyDialect;
  readonly usesOthers = true;

  private constructor(
    /** Includes the database name. */
    readonly mongoUrl: string,
    readonly natsUrl: string,
    /** The settings of all nodes. */
    readonly env: NodeJS.ProcessEnv,
    /** In start order; a replaced node keeps its index. */
    readonly servers: ServerProcess[],
  ) {}

  /** Starts `count` nodes one by one, on a new database that is dropped when they stop. */
  static async start(count: number, mongoUrl: string, natsUrl: string): Promise<Nodes> {
    const url = new URL(mongoUrl);
    url.pathname = `/bench_${randomUUID().replaceAll('-', '')}`;
    const nodes = new Nodes(
      url.href,
      natsUrl,
      {
        ...process.env,
        HOST: '127.0.0.1',
        PORT: '0',
        RATE_LIMIT: 'off',
        AUTH_RATE_LIMIT: 'off',
        BCRYPT_COST: '4',
        MONGO_URL: url.href,
        NATS_URL: natsUrl,
        MASTER_KEY: randomBytes(32).toString('base64'),
      },
      [],
    );
    for (let node = 0; node < count; node++) await nodes.launch(node);
    return nodes;
  }

  /** Starts a node at this index. */
  async launch(place: number): Promise<void> {
    const env = { ...this.env, DATA_DIR: temporaryDirectory() };
    this.servers[place] = await ServerProcess.start([parleyProgram], env);
  }

  /** The sums over all nodes. */
  get server(): Pick<ServerProcess, 'cpuMicros' | 'rssBytes'> {
    const sum = (of: (server: ServerProcess) => number) =>
      this.servers.reduce((all, server) => all + of(server), 0);
    return {
      cpuMicros: () => sum((server) => server.cpuMicros()),
      rssBytes: () => sum((server) => server.rssBytes()),
    };
  }

  /** The largest lag of read models over all nodes, in seconds. */
  async projectionLag(): Promise<number> {
    return Math.max(...(await Promise.all(this.servers.map(({ origin }) => lagOf(origin)))));
  }

  /** Signs up and signs in new users, distributed over the nodes. */
  signUp(count: number): Promise<BenchUser[]> {
    const run = randomUUID().slice(0, 8);
    return mapLimited(Array.from({ length: count }), atOnce, (_, i) =>
      createUser(this.#at(i).origin, `bench-${run}-${i}`),
    );
  }

  /** Opens a room for each pair and returns the room ids. */
  rooms(pairs: readonly (readonly [BenchUser, BenchUser])[]): Promise<string[]> {
    return mapLimited(pairs, atOnce, async ([user, friend], i) => {
      const connection = await this.connect(user, i);
      const answer = await connection.request('init chat', { friendId: friend.userId });
      connection.close();
      return (answer as { room: { roomId: string } }).room.roomId; // the contract
    });
  }

  /** Opens an identified connection to the node at this index, modulo the number of nodes. */
  async connect({ token }: BenchUser, place: number): Promise<WireConnection> {
    const connection = await WireConnection.open(this.#at(place).port, this.dialect);
    await connection.request('identity', { token });
    return connection;
  }

  /** Stops all nodes and drops their database. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    const client = new MongoClient(this.mongoUrl);
    await client.db().dropDatabase();
    await client.close();
  }

  #at(place: number): ServerProcess {
    const server = this.servers[place % this.servers.length];
    if (!server) throw new Error('there is no node');
    return server;
  }
}
