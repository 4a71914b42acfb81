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
