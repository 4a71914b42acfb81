import type { ErrorCode, ErrorReason, FieldError } from '../../../src/base/errors.js';
import type {
  PushData,
  PushName,
  RequestAnswer,
  RequestInput,
  RequestName,
} from '../../../src/domain/contract.js';
import type { Chat, Message, User } from '../../../src/domain/userMessageChat.js';

export type { Chat, Message, PushData, PushName, RequestAnswer, RequestInput, RequestName, User };

/** Who may write to me and invite me, and what is told of me. */
export type Preferences = RequestAnswer<'get preferences'>['preferences'];

/** The parts of a WebSocket that the client uses: a browser's own, or the class of the `ws` package. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** `ws` has it: ends the connection without waiting for the other side. */
  terminate?(): void;
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: 'error', listener: (event: unknown) => void): void;
}

/** A browser's `WebSocket`, or that of the `ws` package. */
export type WebSocketClass = new (url: string) => WebSocketLike;

/** Runs `run` once after `ms`. Returns a function that cancels it. */
export type After = (ms: number, run: () => void) => () => void;

/** A push as it comes over the socket; a stored one has a cursor. */
export type Push = {
  [N in PushName]: { readonly event: N; readonly data: PushData<N>; readonly cursor?: string };
}[PushName];

/** May be asynchronous: the next push waits for it, and its cursor is stored after it. */
export type PushHandler<N extends PushName> = (data: PushData<N>) => void | Promise<void>;

/** Where a device keeps its cursor over restarts; `undefined`: none, the present. */
export interface CursorStore {
  load(): Promise<string | undefined> | string | undefined;
  save(cursor: string | undefined): Promise<void> | void;
}

/** The connection's state. */
export type ClientState =
  | { readonly state: 'new' }
  | { readonly state: 'connecting' }
  /** Identified: the missed pushes since the cursor are coming. Requests are sent. */
  | { readonly state: 'replaying'; readonly user: User }
  /**
   * Identified and up to date. Not `resumed`: there was no cursor, or the server refused it. Then the history before
   * this moment has to be fetched.
   */
  | { readonly state: 'live'; readonly user: User; readonly resumed: boolean }
  /** The connection was lost, or could not be made; the next try is in `delayMs`. */
  | { readonly state: 'waiting'; readonly delayMs: number; readonly code: number; readonly reason: string }
  /**
   * For good: closed by the caller, or the token is no longer valid and there is no other one. The reason is there if the
   * server has said it.
   */
  | { readonly state: 'ended'; readonly why: 'closed' | 'signed_out'; readonly reason?: EndReason };

/** Why the server has ended the session: the user was suspended, or has changed the password on another device. */
export type EndReason = 'suspended' | 'password_changed';

/** How long to go on asking. */
export interface RequestOptions {
  /**
   * How long to go on trying, over reconnects and refusals that say "later". Default 30,000. With
   * `Infinity` it waits until the client ends, and whoever asks sees to a bound.
   */
  readonly timeoutMs?: number;
}

/** One device of one user. */
export interface Client {
  readonly state: ClientState;
  /** Connects, and from then on reconnects until `close`. */
  start(): void;
  /**
   * Where it waits for the next try, tries now, and waits no longer than at first if that fails: for when the network
   * is back, or a person will not wait. Else nothing happens.
   */
  retry(): void;
  /**
   * Asks, and asks again with the same data after a reconnect or an answer that says "later" (every
   * command may be repeated). Rejects with a `ClientError`: the server's, `timeout`, `closed`,
   * `signed_out`, or `too_many` when 1,000 requests are waiting already.
   */
  request<N extends RequestName>(
    name: N,
    data: RequestInput<N>,
    options?: RequestOptions,
  ): Promise<RequestAnswer<N>>;
  /** Calls `handler` with every push of this name, in order. Returns a function that stops the calls. */
  on<N extends PushName>(name: N, handler: PushHandler<N>): () => void;
  /** Calls `handler` at every change of state. Returns a function that stops the calls. */
  onState(handler: (state: ClientState) => void): () => void;
  /** Resolves with the user once the client is live, at once if it is; rejects when it has ended. */
  readonly ready: Promise<User>;
  /** Ends the client for good. Waiting requests reject with `closed`. */
  close(): void;
}

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
  /** Of a problem, its text; in a frame, the host's own word. */
  readonly detail?: string;
  readonly fields?: readonly FieldError[];
  readonly reason?: ErrorReason;
  readonly retryAfterMs?: number;
  readonly incident?: string;
}

/** The only error that this client rejects with. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  // Assigned all at once.
  declare readonly code: ClientErrorCode;
  /** With `bad_request`: the errors, by path. */
  declare readonly fields: readonly FieldError[];
  /** May come with `forbidden`, `conflict` and `bad_request`: a word to make a text of in the user's language. */
  declare readonly reason: ErrorReason | undefined;
  /** With the reason `host`: the host's own word. */
  declare readonly detail: string | undefined;
  /** With `rate_limited`, `overloaded` and `unknown`. */
  declare readonly retryAfterMs: number | undefined;
  /** With `internal`: give it to the operator, who finds the cause in the log by it. */
  declare readonly incident: string | undefined;

  constructor(body: ErrorBody, options?: ErrorOptions) {
    super(body.message ?? body.detail ?? body.code, options);
    Object.assign(this, { fields: [] }, body);
  }

  /** Whether the same request, with the same ids, can succeed later. */
  get canRetry(): boolean {
    return ['rate_limited', 'overloaded', 'unknown', 'disconnected'].includes(this.code);
  }
}

/** The error itself if it is a `ClientError`; else one with this code, and the error as its cause. */
export function toClientError(error: unknown, code: ClientErrorCode): ClientError {
  return error instanceof ClientError ? error : new ClientError({ code }, { cause: error });
}
