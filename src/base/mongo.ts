import {
  type CollectionOptions,
  type Db,
  type Document,
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
import { ConfigError } from './settings.js';

/** The driver's interval between checks of the server, and the minimum between two checks. */
const HEARTBEAT_MS = 1000;
/** The interval at which a client checks its monitor. */
const MONITOR_CHECK_MS = 5000;
/** The checks without any heartbeat after which a client reconnects. */
const MAX_SILENT_CHECKS = 8;

export interface MongoOptions extends Omit<MongoClientOptions, 'socketTimeoutMS'> {
  /**
   * A connection that owes an answer and is silent for this long is closed with a `MongoNetworkTimeoutError`.
   */
  readonly socketTimeoutMs: number;
  /** The interval between checks of the driver's monitor; default 5,000. */
  readonly monitorCheckMs?: number;
}

/**
 * Creates a client that finds its server again after any connection failure. The heartbeat interval equals
 * its minimum, so that the driver's monitor checks by the clock alone. A monitor that checks right after a
 * failure can write to a closing connection, and then waits for ever. The driver's `timeoutMS`, meant to
 * bound operations, has no effect in this version. Throws `ConfigError` for a URL that the driver refuses: all URLs are
 * made from `MONGO_URL`.
 */
export function createMongoClient(
  url: string,
  { socketTimeoutMs, monitorCheckMs, ...options }: MongoOptions,
): MongoClient {
  const heartbeats = { heartbeatFrequencyMS: HEARTBEAT_MS, minHeartbeatFrequencyMS: HEARTBEAT_MS };
  try {
    return new WatchedClient(
      url,
      { ...heartbeats, ...options, socketTimeoutMS: socketTimeoutMs },
      monitorCheckMs ?? MONITOR_CHECK_MS,
    );
  } catch (cause) {
    // Nothing is connected yet: the driver has only read the URL.
    const why = cause instanceof Error ? cause.message.replace(/\s+/g, ' ') : String(cause);
    throw new ConfigError(`MONGO_URL: ${why}`, { cause });
  }
}

/**
 * Reconnects when its monitor has reported neither success nor failure for `MAX_SILENT_CHECKS` checks in a
 * row. Such a monitor waits for ever, and so does every operation. A process that was paused counts one
 * check.
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
    // A failed close or connect is tried again after the next `MAX_SILENT_CHECKS` checks.
    await withMongoTimeout(systemClock, this.#checkMs, super.close()).catch(() => {});
    await super.connect().catch(() => {});
    if (this.#timer === undefined) await super.close();
  }
}

/**
 * Returns the result of the attempt. Rejects with a `MongoNetworkTimeoutError` after `ms`; the attempt may
 * still succeed. The socket timeout is not enough: the driver never settles an operation that starts while
 * its connection closes.
 */
export const withMongoTimeout = <T>(clock: Clock, ms: number, attempt: Promise<T>): Promise<T> =>
  withTimeout(
    clock,
    ms,
    attempt,
    () => new MongoNetworkTimeoutError(`MongoDB did not answer within ${ms} ms`),
  );

type Calls<P> = { readonly [K in keyof P]: (...args: never[]) => Promise<unknown> };

/** Wraps each function so that its call rejects after `ms`: see `withMongoTimeout`. */
export function withCallTimeouts<P extends Calls<P>>(ms: number, calls: P): P {
  const entries = Object.entries<(...args: never[]) => Promise<unknown>>(calls).map(([name, call]) => [
    name,
    (...args: never[]) => withMongoTimeout(systemClock, ms, call(...args)),
  ]);
  return Object.fromEntries(entries) as P; // Each function keeps its name, arguments and result.
}

const DUPLICATE_KEY_CODE = 11000;

/** MongoDB's error codes for writes that it refuses every time. */
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

/** Returns true if a document with this `_id` exists. It may not be durable yet. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code === DUPLICATE_KEY_CODE;

/**
 * Returns true if a retry cannot help: the server refuses, the client is closed or misused, or this program
 * is wrong. Any other error, an unknown code included, proves nothing: the write may have happened or may
 * still happen.
 */
export function isPermanentFailure(error: unknown): boolean {
  if (error instanceof MongoServerClosedError || error instanceof MongoWriteConcernError) return false;
  if (error instanceof MongoServerError) return PERMANENT_CODES.has(Number(error.code));
  if (error instanceof MongoError) return error instanceof MongoAPIError;
  // The driver passes some system errors on unchanged, such as ECONNRESET. A retry can help with those.
  return error instanceof TypeError || error instanceof RangeError;
}

/** Options of collections whose reads and writes no fail-over may undo. */
export const MAJORITY: CollectionOptions = {
  writeConcern: { w: 'majority', journal: true },
  readConcern: { level: 'majority' },
  readPreference: 'primary',
  promoteBuffers: true,
};

/** What the server says of an insert of several documents. */
interface InsertReply {
  /** The number of documents that it stored. */
  readonly n?: number;
  readonly writeErrors?: readonly {
    readonly index: number;
    readonly code?: number;
    readonly errmsg?: string;
  }[];
}

/** A document that waits for its call, or for the call's answer. */
interface Waiting<D> {
  readonly document: D;
  readonly bytes: number;
  readonly stored: () => void;
  readonly failed: (error: unknown) => void;
}

export interface GroupedInsertsOptions {
  readonly clock: Clock;
  /** The limit of one call. */
  readonly timeoutMs: number;
  /** How long a document waits for others while a call is in flight. Otherwise it leaves at once. */
  readonly lingerMs: number;
  /** The documents of a call have at most this many bytes together, unless one alone has more. */
  readonly maxBytes: number;
}

/**
 * Inserts the documents of many callers with few calls: most of a call's cost does not depend on the number of
 * documents. Each document has an outcome of its own. A call that hangs delays only its own documents. Uses the
 * plain command: `insertMany` may send several, and its error does not tell which of them the server answered.
 */
export class GroupedInserts<D extends Document> {
  #waiting: Waiting<D>[] = [];
  #callsInFlight = 0;
  #isScheduled = false;

  constructor(
    private readonly db: Pick<Db, 'command'>,
    private readonly collection: string,
    private readonly options: GroupedInsertsOptions,
  ) {}

  /**
   * Resolves once a majority of servers has the document. Rejects with the error of this document or of its
   * whole call. Unless the server refused the document, its outcome is then unknown.
   */
  insert(document: D, bytes: number): Promise<void> {
    return new Promise((stored, failed) => {
      this.#waiting.push({ document, bytes, stored, failed });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const { clock, lingerMs } = this.options;
    const send = () => {
      this.#isScheduled = false;
      while (this.#waiting.length > 0) void this.#send(this.#takeGroup());
    };
    // At the end of this turn, so that documents of one turn leave together.
    if (this.#callsInFlight === 0) clock.setImmediate(send);
    else clock.setTimer(send, lingerMs);
  }

  #takeGroup(): Waiting<D>[] {
    let bytes = 0;
    const end = this.#waiting.findIndex((each, i) => {
      bytes += each.bytes;
      return i > 0 && bytes > this.options.maxBytes;
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  async #send(group: readonly Waiting<D>[]): Promise<void> {
    this.#callsInFlight++;
    try {
      const reply = await this.#call(group.map(({ document }) => document));
      const errors = errorsOf(reply, group.length);
      for (const [i, { stored, failed }] of group.entries()) {
        const error = errors(i);
        if (error) failed(error);
        else stored();
      }
    } catch (error) {
      for (const { failed } of group) failed(error);
    } finally {
      this.#callsInFlight--;
    }
  }

  #call(documents: D[]): Promise<InsertReply> {
    const writeConcern = { w: 'majority', j: true };
    const command = { insert: this.collection, documents, ordered: false, writeConcern };
    return withMongoTimeout(this.options.clock, this.options.timeoutMs, this.db.command(command));
  }
}

/** Returns the error of each document by its index; undefined if it is stored. */
function errorsOf({ n, writeErrors = [] }: InsertReply, count: number): (index: number) => Error | undefined {
  const refused = new Map(
    writeErrors.map(({ index, code, errmsg }) => [
      index,
      new MongoServerError({ message: errmsg ?? 'the server refused the document', code }),
    ]),
  );
  // A reply that does not account for every document proves nothing of those that it does not name.
  const isComplete = n !== undefined && n + refused.size === count;
  return (index) =>
    refused.get(index) ??
    (isComplete ? undefined : new MongoError(`the server stored ${n} of ${count} documents`));
}
