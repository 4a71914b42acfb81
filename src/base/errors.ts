/** The error codes of the contract; each says to a client what to do. */
export const errorCodes = [
  'bad_request',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'rate_limited',
  'overloaded',
  'unknown',
  'internal',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export interface ErrorDetails {
  /** With `bad_request`. */
  readonly fields?: readonly FieldError[];
  /** With `rate_limited`, `overloaded` and `unknown`. */
  readonly retryAfterMs?: number;
}

/** An error that a client is told of as it is; anything else that is thrown is `internal` to them. */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export const badRequest = (message: string, fields: readonly FieldError[] = []): ParleyError =>
  new ParleyError('bad_request', message, { fields });
export const notFound = (message: string): ParleyError => new ParleyError('not_found', message);
export const forbidden = (message: string): ParleyError => new ParleyError('forbidden', message);
export const unauthenticated = (message: string): ParleyError => new ParleyError('unauthenticated', message);
/** Nothing was done; worth trying again after `retryAfterMs`. */
export const overloaded = (message: string, retryAfterMs = 1000): ParleyError =>
  new ParleyError('overloaded', message, { retryAfterMs });
/** It may have happened: to be sent again, or looked for, after `retryAfterMs`. */
export const unknown = (message: string, cause: unknown, retryAfterMs = 1000): ParleyError =>
  new ParleyError('unknown', message, { retryAfterMs }, { cause });

/** The vault did not answer, or not with what it should hold: nothing is known. Try again later. */
export class VaultUnavailable extends Error {
  override readonly name = 'VaultUnavailable';
}

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

/**
 * The partition is not this writer's, or is so no longer: with the command nothing was done, and it is to be given to
 * whoever has the partition. Goes between nodes only, never to a client.
 */
export class NotOwner extends Error {
  override readonly name = 'NotOwner';
  constructor(readonly partition: number) {
    super(`partition ${partition} is not owned here`);
  }
}

/** Ends a switch over a union: it does not type-check while a member has no case. */
export function assertNever(value: never): never {
  throw new Error(`no case for ${JSON.stringify(value)}`);
}
