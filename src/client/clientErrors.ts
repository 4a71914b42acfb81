import type { ErrorCode, FieldError } from '../base/errors.js';

/** The contract's codes, and what only a client can know. */
export type ClientErrorCode =
  | ErrorCode
  /** No answer within the time given; it may have happened. */
  | 'timeout'
  /** The connection went before the answer; it may have happened. */
  | 'disconnected'
  /** The client was closed by its owner. */
  | 'closed'
  /** The token is not, or no longer, valid. */
  | 'signed_out'
  /** A bound of the client's own: requests waiting, or messages in the outbox. */
  | 'too_many'
  /** The device could not keep the message before sending it; it was not sent. */
  | 'not_kept';

/** The fields of an error as the server sends it, in a frame or as `application/problem+json`. */
export interface ErrorBody {
  readonly code: ClientErrorCode;
  readonly message?: string;
  readonly detail?: string;
  readonly fields?: readonly FieldError[];
  readonly retryAfterMs?: number;
  readonly incident?: string;
}

/** Everything that this client rejects with. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;
  /** With `bad_request`: what was wrong, by path. */
  readonly fields: readonly FieldError[];
  /** With `rate_limited`, `overloaded` and `unknown`. */
  readonly retryAfterMs: number | undefined;
  /** With `internal`: what to name when asking the operator. */
  readonly incident: string | undefined;

  constructor(body: ErrorBody, options?: ErrorOptions) {
    super(body.message ?? body.detail ?? body.code, options);
    this.code = body.code;
    this.fields = body.fields ?? [];
    this.retryAfterMs = body.retryAfterMs;
    this.incident = body.incident;
  }

  /** Whether the same request, with the same ids, is worth sending again. */
  get again(): boolean {
    return (
      this.code === 'rate_limited' ||
      this.code === 'overloaded' ||
      this.code === 'unknown' ||
      this.code === 'disconnected'
    );
  }
}

/** The error itself if it is a client's, else one with this code that has it as its cause. */
export function asClientError(error: unknown, code: ClientErrorCode): ClientError {
  return error instanceof ClientError ? error : new ClientError({ code }, { cause: error });
}
