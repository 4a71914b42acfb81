import { VaultUnavailable } from './vault/vault.js';

/** What the MongoDB driver throws when the server cannot be reached or does not answer. */
const unreachable: ReadonlySet<string> = new Set([
  'MongoServerSelectionError',
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
]);

/** Whether a store is away, which passes: nothing is wrong with the request or with this program. */
export const isOutage = (error: unknown): error is Error =>
  error instanceof VaultUnavailable || (error instanceof Error && unreachable.has(error.name));
