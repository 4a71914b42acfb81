/** The error codes of the public contract. Each tells a client what to do next. */
export const ERROR_CODES = [
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
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export interface ErrorDetails {
  /** Present with `bad_request`. */
  readonly fields?: readonly FieldError[];
  /** Present with `rate_limited`, `overloaded` and `unknown`. */
  readonly retryAfterMs?: number;
}

/** An error whose code and message are sent to the client. Any other error is sent as `internal`. */
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
/** Nothing was done. The client may try again after `retryAfterMs`. */
export const overloaded = (message: string, retryAfterMs = 1000): ParleyError =>
  new ParleyError('overloaded', message, { retryAfterMs });
/** The command may have taken effect. The client should repeat it, with the same id, after `retryAfterMs`. */
export const outcomeUnknown = (message: string, cause?: unknown, retryAfterMs = 1000): ParleyError =>
  new ParleyError('unknown', message, { retryAfterMs }, { cause });

/** The vault did not answer, or its data is unreadable. Try again later. */
export class VaultUnavailable extends Error {
  override readonly name = 'VaultUnavailable';
}

/** Errors of the MongoDB driver for a server that cannot be reached or does not answer. */
const UNREACHABLE_ERRORS: ReadonlySet<string> = new Set([
  'MongoServerSelectionError',
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
  // Thrown while a `WatchedClient` reconnects.
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
]);

/** System errors of a closing socket. The driver passes some of them on unchanged. */
const BROKEN_SOCKET_CODES: ReadonlySet<unknown> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ECONNREFUSED',
  'ETIMEDOUT',
]);

/** Returns true if a store is temporarily unavailable: neither the request nor this program is at fault. */
export const isOutage = (error: unknown): error is Error =>
  error instanceof VaultUnavailable ||
  (error instanceof Error &&
    (UNREACHABLE_ERRORS.has(error.name) || ('code' in error && BROKEN_SOCKET_CODES.has(error.code))));

/**
 * This node does not own the partition, or owns it no more. Nothing was done: send the command to the owner.
 * This error goes between nodes only, never to a client.
 */
export class NotOwner extends Error {
  override readonly name = 'NotOwner';
  constructor(readonly partition: number) {
    super(`this node does not own partition ${partition}`);
  }
}

/**
 * Ends a switch over a union, so that a member without a case does not compile. Throws for a value outside
 * the union.
 */
export function assertNever(value: never): never {
  throw new TypeError(`no case handles ${JSON.stringify(value)}`);
}
