import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import type { Engine } from '../../src/projections/store/engine.js';
import { mapLimited } from '../batches.js';
import { fillRoom } from '../fill.js';
import { post } from '../http.js';
import { ServerProcess } from '../server.js';
import { temporaryDirectory } from '../temporary.js';
import { WireConnection } from '../wire/connection.js';
import { parleyDialect } from '../wire/parley.js';
import type { BenchUser, Place, Running, StartOptions, System, SystemName } from './system.js';

/** The server program. */
export const parleyProgram = join(import.meta.dirname, '..', '..', 'server', 'lib', 'main.js');
/** The operator's command. */
export const parleyCommand = join(import.meta.dirname, '..', '..', 'src', 'cli', 'bin.js');
export const password = 'a long benchmark passphrase';
const atOnce = 16;
/** Users that one command names at most. */
const membersOfCommand = 100;
const readyTimeoutMs = 120_000;
const catchUpTimeoutMs = 60_000;

/** Signs up and signs in a user. A sign-up that a busy database delays past its time is finished by the sign-in. */
export async function createUser(origin: string, username: string): Promise<BenchUser> {
  const gatewayTimeout = 504;
  await post(`${origin}/user/`, { username, password }, [gatewayTimeout]);
  const answer = await post(`${origin}/user/signin`, { username, password });
  const { token, user } = answer as { token: string; user: { userId: string } }; // the contract
  return { userId: user.userId, username, token };
}

function startParley(
  program: string,
  engine: Engine,
  directory: string,
  { bcryptCost = 4, env = {} }: StartOptions = {},
): Promise<ServerProcess> {
  const { MONGO_URL: _, NATS_URL: __, ...inherited } = process.env;
  return ServerProcess.start([program], {
    ...inherited,
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: directory,
    RATE_LIMIT: 'off',
    AUTH_RATE_LIMIT: 'off',
    BCRYPT_COST: String(bcryptCost),
    GROUP_SIZE: '1000',
    ...(engine.kind === 'mongodb' ? { MONGO_URL: engine.url } : {}),
    ...env,
  });
}

class RunningParley implements Running {
  readonly dialect = parleyDialect;
  readonly usesOthers: boolean;

  constructor(
    readonly engine: Engine,
    readonly directory: string,
    public server: ServerProcess,
    private readonly program = parleyProgram,
  ) {
    this.usesOthers = engine.kind === 'mongodb';
  }

  signUp(count: number): Promise<BenchUser[]> {
    const run = randomUUID().slice(0, 8);
    return mapLimited(Array.from({ length: count }), atOnce, (_, i) =>
      createUser(this.server.origin, `bench-${run}-${i}`),
    );
  }

  async signIn({ username }: BenchUser): Promise<boolean> {
    const response = await fetch(`${this.server.origin}/user/signin`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });
    await response.arrayBuffer();
    if (!response.ok && response.status !== 503)
      throw new Error(`a sign-in failed with status ${response.status}`);
    return response.ok;
  }

  async erase({ userId, token }: BenchUser): Promise<void> {
    const response = await fetch(`${this.server.origin}/user/${userId}`, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ password }),
    });
    if (!response.ok) throw new Error(`an erasure failed: ${response.status} ${await response.text()}`);
  }

  rooms(pairs: readonly (readonly [BenchUser, BenchUser])[]): Promise<string[]> {
    return mapLimited(pairs, atOnce, async ([user, friend]) => {
      const connection = await this.connect(user);
      const answer = await connection.request('init chat', { friendId: friend.userId });
      connection.close();
      return (answer as { room: { roomId: string } }).room.roomId; // the contract
    });
  }

  async group([owner, ...others]: readonly BenchUser[]): Promise<string> {
    if (!owner) throw new Error('a group needs an owner');
    const connection = await this.connect(owner);
    const roomId = randomUUID();
    const ids = others.map(({ userId }) => userId);
    const first = ids.slice(0, membersOfCommand);
    await connection.request('create group', { roomId, name: 'a group', memberIds: first });
    for (let at = membersOfCommand; at < ids.length; at += membersOfCommand)
      await connection.request('add members', { roomId, userIds: ids.slice(at, at + membersOfCommand) });
    connection.close();
    return roomId;
  }

  async fill(roomId: string, sender: BenchUser, count: number): Promise<void> {
    const connection = await this.connect(sender);
    await fillRoom({ connection, template: this.dialect.template(roomId, 'x'.repeat(100)) }, count);
    connection.close();
  }

  async connect({ token }: BenchUser): Promise<WireConnection> {
    const connection = await WireConnection.open(this.server.port, this.dialect);
    await connection.request('identity', { token });
    return connection;
  }

  async place({ token }: BenchUser): Promise<Place> {
    const connection = await WireConnection.open(this.server.port, this.dialect);
    const answer = await connection.request('identity', { token });
    connection.close();
    return (answer as { cursor: string }).cursor; // the contract
  }

  async catchUp({ token }: BenchUser, cursor: Place): Promise<number> {
    const connection = await WireConnection.open(this.server.port, this.dialect);
    let count = 0;
    const caughtUp = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('not caught up within 60 s')), catchUpTimeoutMs);
      connection.listener = {
        delivered: () => count++,
        caughtUp() {
          clearTimeout(timer);
          resolve();
        },
      };
    });
    await Promise.all([connection.request('identity', { token, cursor }), caughtUp]);
    connection.close();
    return count;
  }

  projectionLag(): Promise<number> {
    return lagOf(this.server.origin);
  }

  async restart(how: 'stop' | 'kill', options: StartOptions = {}): Promise<number> {
    await this.server[how]();
    const from = performance.now();
    this.server = await startParley(this.program, this.engine, this.directory, options);
    while (!(await fetch(`${this.server.origin}/ready`)).ok) {
      if (performance.now() - from > readyTimeoutMs) throw new Error('not ready within 120 s');
      await wait(5);
    }
    return performance.now() - from;
  }

  async stop(): Promise<void> {
    await this.server.stop();
    if (this.engine.kind === 'mongodb') await dropDatabase(this.engine.url);
  }
}

/** How far a node's read models are behind the log, in seconds. */
export async function lagOf(origin: string): Promise<number> {
  const metrics = await (await fetch(`${origin}/metrics`)).text();
  const lags = metrics.matchAll(/^parley_projection_lag_seconds(?:\{[^}]*\})? (\S+)$/gm);
  const values = [...lags].map(([, lag]) => Number(lag));
  return values.length > 0 ? Math.max(...values) : Number.NaN;
}

async function dropDatabase(url: string): Promise<void> {
  const client = new MongoClient(url);
  await client.db().dropDatabase();
  await client.close();
}

function embedded(name: SystemName, program: string): System {
  return {
    name,
    searchFrom: 1000,
    steadyUpTo: Number.POSITIVE_INFINITY,
    async start(options) {
      const dataDir = temporaryDirectory();
      const engine: Engine = { kind: 'sqlite', dataDir };
      const server = await startParley(program, engine, dataDir, options);
      return new RunningParley(engine, dataDir, server, program);
    },
  };
}

/** Parley on its embedded engine. */
export const parleySqlite = embedded('parley-sqlite', parleyProgram);

/** Parley as it was: the same, built in this checkout of an earlier commit. */
export const parleyBefore = (checkout: string): System =>
  embedded('parley-before', resolve(checkout, 'dist', 'server', 'lib', 'main.js'));

/** Parley on a new database of this MongoDB server, which is dropped when Parley stops. */
export function parleyMongodb(serverUrl: string): System {
  return {
    name: 'parley-mongodb',
    searchFrom: 250,
    steadyUpTo: 1000,
    async start(options) {
      const url = new URL(serverUrl);
      url.pathname = `/bench_${randomUUID().replaceAll('-', '')}`;
      const engine: Engine = { kind: 'mongodb', url: url.href };
      const dataDir = temporaryDirectory();
      const server = await startParley(parleyProgram, engine, dataDir, options);
      return new RunningParley(engine, dataDir, server);
    },
  };
}
