import type { Engine } from '../../src/projections/store/engine.js';
import type { ServerProcess } from '../server.js';
import type { WireConnection } from '../wire/connection.js';
import type { Dialect } from '../wire/dialect.js';

export const systemNames = [
  'parley-sqlite',
  'parley-before',
  'parley-mongodb',
  'socket.io',
  'socket.io-no-store',
] as const;
export type SystemName = (typeof systemNames)[number];

/** Whether the system is there to compare with, not to be judged. */
export const isPeer = (name: SystemName) =>
  name === 'socket.io' || name === 'socket.io-no-store' || name === 'parley-before';

export interface BenchUser {
  readonly userId: string;
  readonly username: string;
  readonly token: string;
}

export interface StartOptions {
  /** Default 4, the lowest cost, because the benchmark signs up many users. */
  readonly bcryptCost?: number;
  /** More variables for the server's process. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A client's position: Parley's cursor, or the last seq of each room for the peer. */
export type Place = string | Readonly<Record<string, number>>;

/** A running server of any kind, with the operations that measures need. */
export interface Running {
  readonly server: ServerProcess;
  readonly dialect: Dialect;
  /** The engine with the log and the read models, if the server has them. */
  readonly engine?: Engine;
  /** The server's data directory. */
  readonly directory: string;
  /** Whether a part of the server's work is done by programs of others, like a database. */
  readonly usesOthers: boolean;
  /** Signs up and signs in new users. */
  signUp(count: number): Promise<BenchUser[]>;
  /** Opens a room for each pair and returns the room ids. */
  rooms(pairs: readonly (readonly [BenchUser, BenchUser])[]): Promise<string[]>;
  /** Makes a room of all these users, the first of whom it belongs to, and returns its id. */
  group(members: readonly BenchUser[]): Promise<string>;
  /** Sends `count` messages of this member to a room. */
  fill(roomId: string, sender: BenchUser, count: number): Promise<void>;
  /** Opens an identified connection. */
  connect(user: BenchUser): Promise<WireConnection>;
  /** The position of a client of this user that has caught up. */
  place(user: BenchUser, roomIds: readonly string[]): Promise<Place>;
  /** Connects, gets all messages since that position, and returns their number. */
  catchUp(user: BenchUser, place: Place): Promise<number>;
  /** Signs in with the password; false if the server is overloaded. Absent if the server has no passwords. */
  signIn?(user: BenchUser): Promise<boolean>;
  /** Erases the user, and resolves with the answer. Absent if the server erases nobody. */
  erase?(user: BenchUser): Promise<void>;
  /** How far the read models are behind the log, in seconds; 0 if the server has none. */
  projectionLag(): Promise<number>;
  /** Restarts the server on the same data after SIGTERM or SIGKILL. Returns the milliseconds from spawn to ready. */
  restart(how: 'stop' | 'kill', options?: StartOptions): Promise<number>;
  /** Stops the server. Its data is removed when the benchmark ends. */
  stop(): Promise<void>;
}

export interface System {
  readonly name: SystemName;
  /** The first rate of the search for the highest one, in messages a second. */
  readonly searchFrom: number;
  /** The highest rate of a steady load that makes sense. */
  readonly steadyUpTo: number;
  /** Starts the server on a new, empty store. */
  start(options?: StartOptions): Promise<Running>;
}
