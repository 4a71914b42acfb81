import type { ErrorCode, FieldError } from '../base/errors.js';

/** The contract's codes, and those of the client itself. */
export type ClientErrorCode =
  | ErrorCode
  /** No answer arrived in time; the request may have taken effect. */
  | 'timeout'
  /** The connection ended before the answer; the request may have taken effect. */
  | 'disconnected'
  /** `close` was called. */
  | 'closed'
  /** The token is not valid, or not any more. */
  | 'signed_out'
  /** The client's own limit is reached: of waiting requests, or of messages in the outbox. */
  | 'too_many'
  /** The outbox could not store the message, so that it was not sent. */
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

/** The only error that this client rejects with. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;
  /** With `bad_request`: the errors, by path. */
  readonly fields: readonly FieldError[];
  /** With `rate_limited`, `overloaded` and `unknown`. */
  readonly retryAfterMs: number | undefined;
  /** With `internal`: give it to the operator, who finds the cause under it. */
  readonly incident: string | undefined;

  constructor(body: ErrorBody, options?: ErrorOptions) {
    super(body.message ?? body.detail ?? body.code, options);
    this.code = body.code;
    this.fields = body.fields ?? [];
    this.retryAfterMs = body.retryAfterMs;
    this.incident = body.incident;
  }

  /** Whether the same request, with the same ids, can succeed later. */
  get canRetry(): boolean {
    return (
      this.code === 'rate_limited' ||
      this.code === 'overloaded' ||
      this.code === 'unknown' ||
      this.code === 'disconnected'
    );
  }
}

/** The error itself if it is a `ClientError`; else one with this code, and the error as its cause. */
export function toClientError(error: unknown, code: ClientErrorCode): ClientError {
  return error instanceof ClientError ? error : new ClientError({ code }, { cause: error });
}
