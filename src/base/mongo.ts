import type { CollectionOptions } from 'mongodb';
import {
  MongoAPIError,
  MongoClient,
  type MongoClientOptions,
  MongoError,
  MongoNetworkTimeoutError,
  MongoServerClosedError,
  MongoServerError,
  MongoWriteConcernError,
} from 'mongodb';
import { type Clock, systemClock, withTimeout } from './clock.js';

/** How often the driver looks whether the server is there, and the least time between two looks. */
const HEARTBEAT_MS = 1000;
/** How often a client looks after its monitor, and how often in a row it must have said nothing. */
const MONITOR_CHECK_MS = 5000;
const MAX_SILENT_CHECKS = 8;

export interface MongoOptions extends Omit<MongoClientOptions, 'socketTimeoutMS'> {
  /** A connection that is silent for so long while an answer is due is given up: a `MongoNetworkTimeoutError`. */
  readonly socketTimeoutMs: number;
  /** How often to look whether the driver's monitor still says anything; default 5,000. */
  readonly monitorCheckMs?: number;
}

/**
 * A client that finds its server again whatever happens to its connections. The driver's monitor, where it may look
 * at once when an operation fails, writes on its own connection in the very turn in which all of them end, and then
 * waits for ever; with both times alike it looks by the clock alone. And `timeoutMS`, which would bound operations,
 * has no effect in this version of the driver.
 */
export function createMongoClient(
  url: string,
  { socketTimeoutMs, monitorCheckMs, ...options }: MongoOptions,
): MongoClient {
  const heartbeats = { heartbeatFrequencyMS: HEARTBEAT_MS, minHeartbeatFrequencyMS: HEARTBEAT_MS };
  return new WatchedClient(
    url,
    { ...heartbeats, ...options, socketTimeoutMS: socketTimeoutMs },
    monitorCheckMs ?? MONITOR_CHECK_MS,
  );
}

/**
 * Begins anew when its monitor has said nothing for `SILENT` looks in a row, neither that the server is there nor
 * that it is not: it waits for ever, and every operation with it. A process that was paused counts one look.
 */
class WatchedClient extends MongoClient {
  readonly #checkMs: number;
  #timer: NodeJS.Timeout | undefined;
  #silentChecks = 0;

  constructor(url: string, options: MongoClientOptions, checkMs: number) {
    super(url, options);
    this.#checkMs = checkMs;
    const resetSilence = (): void => {
      this.#silentChecks = 0;
    };
    this.on('serverHeartbeatSucceeded', resetSilence).on('serverHeartbeatFailed', resetSilence);
  }

  override async connect(): Promise<this> {
    await super.connect();
    this.#timer ??= setInterval(() => void this.#checkMonitor(), this.#checkMs).unref();
    return this;
  }

  override async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await super.close();
  }

  async #checkMonitor(): Promise<void> {
    if (++this.#silentChecks < MAX_SILENT_CHECKS) return;
    this.#silentChecks = 0;
    // What cannot be ended cleanly, or not connected now, is tried again after as many looks.
    await withMongoTimeout(systemClock, this.#checkMs, super.close()).catch(() => {});
    await super.connect().catch(() => {});
    if (this.#timer === undefined) await super.close();
  }
}

/**
 * What an attempt came to, if that is known in `ms`; else rejects with a `MongoNetworkTimeoutError`, and the attempt
 * may still succeed. `silenceMs` is not enough where an answer must come: an operation that is begun on a connection
 * in the turn in which it ends is never settled by the driver.
 */
export const withMongoTimeout = <T>(clock: Clock, ms: number, attempt: Promise<T>): Promise<T> =>
  withTimeout(clock, ms, attempt, () => new MongoNetworkTimeoutError(`no answer within ${ms} ms`));

type Calls<P> = { readonly [K in keyof P]: (...args: never[]) => Promise<unknown> };

/** The same calls, of which none waits for longer than `ms`: see `within`. */
export function withCallTimeouts<P extends Calls<P>>(ms: number, calls: P): P {
  const entries = Object.entries<(...args: never[]) => Promise<unknown>>(calls).map(([name, call]) => [
    name,
    (...args: never[]) => withMongoTimeout(systemClock, ms, call(...args)),
  ]);
  return Object.fromEntries(entries) as P; // Each by its name, with the arguments and the result it had.
}

const DUPLICATE_KEY_CODE = 11000;

/** Answers with which a server refuses a write for good, whoever asks again: error codes of MongoDB. */
const PERMANENT_CODES = new Set([
  2, // BadValue
  9, // FailedToParse
  13, // Unauthorized
  14, // TypeMismatch
  18, // AuthenticationFailed
  20, // IllegalOperation
  59, // CommandNotFound
  72, // InvalidOptions
  73, // InvalidNamespace
  121, // DocumentValidationFailure
  8000, // AtlasError: over a quota, or not allowed
  10334, // BSONObjectTooLarge
  14031, // OutOfDiskSpace
]);

/** There is a document with this `_id`; it may not be durable yet. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code === DUPLICATE_KEY_CODE;

/**
 * Trying again cannot help: the server refuses, the client is closed or misused, or the fault is ours. All
 * else, a code never heard of too, proves nothing: the write may have happened, or may happen next time.
 */
export function isPermanentFailure(error: unknown): boolean {
  if (error instanceof MongoServerClosedError || error instanceof MongoWriteConcernError) return false;
  if (error instanceof MongoServerError) return PERMANENT_CODES.has(Number(error.code));
  if (error instanceof MongoError) return error instanceof MongoAPIError;
  // The driver lets some of the system's errors through as they are, such as ECONNRESET.
  return error instanceof TypeError || error instanceof RangeError;
}

/** How the log's collections are written and read: nothing is said or seen that a fail-over could take back. */
export const MAJORITY: CollectionOptions = {
  writeConcern: { w: 'majority', journal: true },
  readConcern: { level: 'majority' },
  readPreference: 'primary',
  promoteBuffers: true,
};
