import type { Engine } from '../../src/projections/store/engine.js';
import type { ServerProcess } from '../server.js';
import type { WireConnection } from '../wire/connection.js';
import type { Dialect } from '../wire/dialect.js';

export const systemNames = ['parley-sqlite', 'parley-mongodb', 'socket.io'] as const;
export type SystemName = (typeof systemNames)[number];

export interface BenchUser {
  readonly userId: string;
  readonly username: string;
  readonly token: string;
}

export interface StartOptions {
  /** Default 4: the cheapest, for signing up many. */
  readonly bcryptCost?: number;
}

/** Where a client has got to, in its server's own terms. */
export type Place = string | Readonly<Record<string, number>>;

/** A server that runs, with what a measure needs of it whatever its kind. */
export interface Running {
  readonly server: ServerProcess;
  readonly dialect: Dialect;
  /** Where log and read models are, if it has them. */
  readonly engine?: Engine;
  /** Its data directory. */
  readonly directory: string;
  /** New users, signed in. */
  signUp(count: number): Promise<BenchUser[]>;
  /** A room for each pair; their ids. */
  rooms(pairs: readonly (readonly [BenchUser, BenchUser])[]): Promise<string[]>;
  /** Puts so many messages of this member into a room. */
  fill(roomId: string, sender: BenchUser, count: number): Promise<void>;
  /** A connection that has identified. */
  connect(user: BenchUser): Promise<WireConnection>;
  /** Where this user would be after a moment online. */
  place(user: BenchUser, roomIds: readonly string[]): Promise<Place>;
  /** Connects, gets all messages since that place, and answers how many they were. */
  catchUp(user: BenchUser, place: Place): Promise<number>;
  /** A sign-in with the password; false when the server refused it as too much. Absent where there is none. */
  signIn?(user: BenchUser): Promise<boolean>;
  /** Seconds that read models are behind the log; 0 where there are none. */
  projectionLag(): Promise<number>;
  /** Starts it again on the same data, after SIGTERM or SIGKILL; answers the milliseconds from spawn to ready. */
  restart(how: 'stop' | 'kill', options?: StartOptions): Promise<number>;
  /** Stops it; its store goes when the benchmark ends. */
  stop(): Promise<void>;
}

export interface System {
  readonly name: SystemName;
  /** Starts it on a store of its own, new and empty. */
  start(options?: StartOptions): Promise<Running>;
}
