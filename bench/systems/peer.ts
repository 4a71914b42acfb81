import { join } from 'node:path';
import { post } from '../http.js';
import { ServerProcess } from '../server.js';
import { temporaryDirectory } from '../temporary.js';
import { WireConnection } from '../wire/connection.js';
import { socketIoDialect } from '../wire/socketIo.js';
import type { BenchUser, Place, Running, System, SystemName } from './system.js';

const program = join(import.meta.dirname, '..', 'peer', 'server.js');

interface Fetched {
  readonly messages: readonly { readonly seq: number }[];
}

class RunningPeer implements Running {
  readonly dialect = socketIoDialect;
  readonly usesOthers = false;

  constructor(
    readonly directory: string,
    readonly options: readonly string[],
    public server: ServerProcess,
  ) {}

  async signUp(count: number): Promise<BenchUser[]> {
    const users = await post(`${this.server.origin}/users`, { count });
    return (users as BenchUser[]).map((user) => ({ ...user, username: user.userId })); // the peer is ours
  }

  async rooms(pairs: readonly (readonly [BenchUser, BenchUser])[]): Promise<string[]> {
    const ids = pairs.map(([a, b]) => [a.userId, b.userId]);
    return (await post(`${this.server.origin}/rooms`, { pairs: ids })) as string[]; // the peer is ours
  }

  async group(members: readonly BenchUser[]): Promise<string> {
    const ids = members.map(({ userId }) => userId);
    const [roomId] = (await post(`${this.server.origin}/rooms`, { pairs: [ids] })) as string[]; // the peer is ours
    if (roomId === undefined) throw new Error('the peer made no room');
    return roomId;
  }

  async fill(roomId: string, sender: BenchUser, count: number): Promise<void> {
    await post(`${this.server.origin}/fill`, { roomId, senderId: sender.userId, count });
  }

  async connect(user: BenchUser): Promise<WireConnection> {
    const connection = await WireConnection.open(this.server.port, this.dialect);
    await connection.request('identity', { token: user.token });
    return connection;
  }

  async place(user: BenchUser, roomIds: readonly string[]): Promise<Place> {
    const connection = await this.connect(user);
    const newest = await Promise.all(
      roomIds.map(async (roomId) => {
        const { messages } = (await connection.request('fetch messages', { roomId, limit: 1 })) as Fetched;
        return [roomId, messages[0]?.seq ?? 0] as const;
      }),
    );
    connection.close();
    return Object.fromEntries(newest);
  }

  async catchUp(user: BenchUser, place: Place): Promise<number> {
    const connection = await this.connect(user);
    const missed = await Promise.all(
      Object.entries(place).map(([roomId, after]) =>
        connection.request('fetch messages', { roomId, after, limit: 200 }),
      ),
    );
    connection.close();
    return (missed as Fetched[]).reduce((count, { messages }) => count + messages.length, 0);
  }

  async projectionLag(): Promise<number> {
    return 0;
  }

  async restart(how: 'stop' | 'kill'): Promise<number> {
    await this.server[how]();
    const from = performance.now();
    this.server = await startPeer(this.directory, this.options);
    return performance.now() - from;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}

const startPeer = (directory: string, options: readonly string[]) =>
  ServerProcess.start([program, directory, ...options], process.env);

function peer(name: SystemName, options: readonly string[]): System {
  return {
    name,
    searchFrom: 1000,
    steadyUpTo: Number.POSITIVE_INFINITY,
    async start() {
      const directory = temporaryDirectory();
      return new RunningPeer(directory, options, await startPeer(directory, options));
    },
  };
}

/** The socket.io server of `bench/peer`. */
export const socketIo = peer('socket.io', []);

/** The same server without the insert: it forgets every message. */
export const socketIoNoStore = peer('socket.io-no-store', ['--no-store']);
