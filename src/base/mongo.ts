import { MongoClient, type MongoClientOptions, MongoNetworkTimeoutError } from 'mongodb';
import { bounded, type Clock, systemClock } from './clock.js';

/** How often the driver looks whether the server is there, and the least time between two looks. */
const LOOK_MS = 1000;
/** How often a client looks after its monitor, and how often in a row it must have said nothing. */
const WATCH_MS = 5000;
const SILENT = 8;

export interface ClientOptions extends Omit<MongoClientOptions, 'socketTimeoutMS'> {
  /** A connection that is silent for so long while an answer is due is given up: a `MongoNetworkTimeoutError`. */
  readonly silenceMs: number;
  /** How often to look whether the driver's monitor still says anything; default 5,000. */
  readonly watchMs?: number;
}

/**
 * A client that finds its server again whatever happens to its connections. The driver's monitor, where it may look
 * at once when an operation fails, writes on its own connection in the very turn in which all of them end, and then
 * waits for ever; with both times alike it looks by the clock alone. And `timeoutMS`, which would bound operations,
 * has no effect in this version of the driver.
 */
export function mongoClient(url: string, { silenceMs, watchMs, ...options }: ClientOptions): MongoClient {
  const looks = { heartbeatFrequencyMS: LOOK_MS, minHeartbeatFrequencyMS: LOOK_MS };
  return new WatchedClient(url, { ...looks, ...options, socketTimeoutMS: silenceMs }, watchMs ?? WATCH_MS);
}

/**
 * Begins anew when its monitor has said nothing for `SILENT` looks in a row, neither that the server is there nor
 * that it is not: it waits for ever, and every operation with it. A process that was paused counts one look.
 */
class WatchedClient extends MongoClient {
  readonly #everyMs: number;
  #watch: NodeJS.Timeout | undefined;
  #silent = 0;

  constructor(url: string, options: MongoClientOptions, everyMs: number) {
    super(url, options);
    this.#everyMs = everyMs;
    const heard = (): void => {
      this.#silent = 0;
    };
    this.on('serverHeartbeatSucceeded', heard).on('serverHeartbeatFailed', heard);
  }

  override async connect(): Promise<this> {
    await super.connect();
    this.#watch ??= setInterval(() => void this.#look(), this.#everyMs).unref();
    return this;
  }

  override async close(): Promise<void> {
    clearInterval(this.#watch);
    this.#watch = undefined;
    await super.close();
  }

  async #look(): Promise<void> {
    if (++this.#silent < SILENT) return;
    this.#silent = 0;
    // What cannot be ended cleanly, or not connected now, is tried again after as many looks.
    await within(systemClock, this.#everyMs, super.close()).catch(() => {});
    await super.connect().catch(() => {});
    if (this.#watch === undefined) await super.close();
  }
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
