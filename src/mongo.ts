import { MongoClient, type MongoClientOptions, MongoNetworkTimeoutError } from 'mongodb';
import { bounded, type Clock, systemClock } from './clock.js';

/** How often the driver looks whether the server is there, and the least time between two looks. */
const LOOK_MS = 1000;

export interface ClientOptions extends Omit<MongoClientOptions, 'socketTimeoutMS'> {
  /** A connection that is silent for so long while an answer is due is given up: a `MongoNetworkTimeoutError`. */
  readonly silenceMs: number;
}

/**
 * A client that finds its server again whatever happens to its connections. The driver's monitor, where it may look
 * at once when an operation fails, writes on its own connection in the very turn in which all of them end, and then
 * waits for ever; with both times alike it looks by the clock alone. And `timeoutMS`, which would bound operations,
 * has no effect in this version of the driver.
 */
export function mongoClient(url: string, { silenceMs, ...options }: ClientOptions): MongoClient {
  const looks = { heartbeatFrequencyMS: LOOK_MS, minHeartbeatFrequencyMS: LOOK_MS };
  return new MongoClient(url, { ...looks, ...options, socketTimeoutMS: silenceMs });
}

/**
 * What an attempt came to, if that is known in `ms`; else rejects with a `MongoNetworkTimeoutError`, and the attempt
 * may still succeed. `silenceMs` is not enough where an answer must come: an operation that is begun on a connection
 * in the turn in which it ends is never settled by the driver.
 */
export const within = <T>(clock: Clock, ms: number, attempt: Promise<T>): Promise<T> =>
  bounded(clock, ms, attempt, () => new MongoNetworkTimeoutError(`no answer within ${ms} ms`));

type Calls<P> = { readonly [K in keyof P]: (...args: never[]) => Promise<unknown> };

/** The same calls, of which none waits for longer than `ms`: see `within`. */
export function allWithin<P extends Calls<P>>(ms: number, calls: P): P {
  const entries = Object.entries<(...args: never[]) => Promise<unknown>>(calls).map(([name, call]) => [
    name,
    (...args: never[]) => within(systemClock, ms, call(...args)),
  ]);
  return Object.fromEntries(entries) as P; // Each by its name, with the arguments and the result it had.
}
