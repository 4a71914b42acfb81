import { randomBytes, randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { mapLimited } from '../batches.js';
import { post } from '../http.js';
import { ServerProcess } from '../server.js';
import { temporaryDirectory } from '../temporary.js';
import { WireConnection } from '../wire/connection.js';
import { parleyDialect } from '../wire/parley.js';
import { lagOf, parleyProgram } from './parley.js';
import type { BenchUser } from './system.js';

const password = 'a long benchmark passphrase';
const atOnce = 16;

/** Several nodes of one Parley, on one database of a MongoDB server and one NATS server. */
export class Nodes {
  readonly dialect = parleyDialect;

  private constructor(
    /** With their database in it. */
    readonly mongoUrl: string,
    readonly natsUrl: string,
    private readonly env: NodeJS.ProcessEnv,
    /** In the order of their starts; one that is replaced keeps its place. */
    readonly servers: ServerProcess[],
  ) {}

  /** Starts so many, one after the other, on a database of their own that is dropped when they stop. */
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

  /** Starts a node in this place. */
  async launch(place: number): Promise<void> {
    const env = { ...this.env, DATA_DIR: temporaryDirectory() };
    this.servers[place] = await ServerProcess.start([parleyProgram], env);
  }

  /** All of them taken together. */
  get server(): Pick<ServerProcess, 'cpuMicros' | 'rssBytes'> {
    const sum = (of: (server: ServerProcess) => number) =>
      this.servers.reduce((all, server) => all + of(server), 0);
    return {
      cpuMicros: () => sum((server) => server.cpuMicros()),
      rssBytes: () => sum((server) => server.rssBytes()),
    };
  }

  /** Seconds of the node whose read models are furthest behind. */
  async projectionLag(): Promise<number> {
    return Math.max(...(await Promise.all(this.servers.map(({ origin }) => lagOf(origin)))));
  }

  /** New users, signed in, each at one node after the other. */
  signUp(count: number): Promise<BenchUser[]> {
    const run = randomUUID().slice(0, 8);
    return mapLimited(Array.from({ length: count }), atOnce, async (_, i) => {
      const { origin } = this.#at(i);
      const username = `bench-${run}-${i}`;
      await post(`${origin}/user/`, { username, password });
      const { token, user } = (await post(`${origin}/user/signin`, { username, password })) as {
        token: string;
        user: { userId: string };
      }; // the contract
      return { userId: user.userId, username, token };
    });
  }

  /** A room for each pair; their ids. */
  rooms(pairs: readonly (readonly [BenchUser, BenchUser])[]): Promise<string[]> {
    return mapLimited(pairs, atOnce, async ([user, friend], i) => {
      const connection = await this.connect(user, i);
      const answer = await connection.request('init chat', { friendId: friend.userId });
      connection.close();
      return (answer as { room: { roomId: string } }).room.roomId; // the contract
    });
  }

  /** A connection to a node, counted round, that has identified. */
  async connect({ token }: BenchUser, place: number): Promise<WireConnection> {
    const connection = await WireConnection.open(this.#at(place).port, this.dialect);
    await connection.request('identity', { token });
    return connection;
  }

  /** Stops them all and drops their database. */
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
