import { VaultUnavailable } from './errors.js';

/** What the MongoDB driver throws when the server cannot be reached or does not answer. */
const unreachable: ReadonlySet<string> = new Set([
  'MongoServerSelectionError',
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
  // While a client begins anew; see `mongoClient`.
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
]);

/** The system's errors of a socket that is going: the driver lets some through as they are. */
const brokenSocket: ReadonlySet<unknown> = new Set(['EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT']);

/** Whether a store is away, which passes: nothing is wrong with the request or with this program. */
export const isOutage = (error: unknown): error is Error =>
  error instanceof VaultUnavailable ||
  (error instanceof Error &&
    (unreachable.has(error.name) || ('code' in error && brokenSocket.has(error.code))));
