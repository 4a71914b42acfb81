import { IDENTIFY_TIMEOUT_MS } from '../domain/limits.js';

/** What each close code means to a client. The WebSocket library itself closes with 1002, 1007 and 1009. */
export const closeCodes = {
  1002: 'a breach of RFC 6455',
  1003: 'a binary frame',
  1007: 'bad UTF-8',
  1008: '100 frames within 10 s that are no requests, or 1,000 answered `rate_limited`',
  1009: 'a frame of more than 128 KiB',
  1012: 'the server restarts: connect again, with the last cursor',
  4401: `not signed in within ${IDENTIFY_TIMEOUT_MS / 1000} s, signed out, or the session has ended`,
  4408: 'the client does not read',
} as const;

/** Why the server closes a connection. */
export interface CloseCause {
  readonly code: keyof typeof closeCodes;
  /** Sent to the client in the close frame, and logged. */
  readonly reason: string;
  /** The client misbehaves: logged as a warning. The other causes are everyday. */
  readonly isMisuse: boolean;
}

/** All causes for which the server closes a connection, each with its rule. */
export const closeCauses = {
  /** 4401, not signed in: no `identity` succeeded within `IDENTIFY_TIMEOUT_MS`. */
  notIdentified: everyday(4401, `not signed in within ${IDENTIFY_TIMEOUT_MS / 1000} s`),
  /** 4401: the token's life (`SESSION_TTL`) is over. */
  sessionExpired: everyday(4401, 'the sign-in has ended'),
  /** 4401: the session was ended by a sign-out, a password change or an erasure. */
  signedOut: everyday(4401, 'signed out'),
  /** 4408, slow reader: see `SLOW_READER_STUCK_MS` and `SLOW_READER_MAX_WAITING_BYTES`. */
  slowReader: misuse(4408, 'the client does not read'),
  /** 1008, abuse: 100 frames that are no requests within 10 s. */
  badFrames: misuse(1008, 'too many frames that are no requests'),
  /** 1008, abuse: 1,000 requests answered `rate_limited` within 10 s. */
  tooManyRequests: misuse(1008, 'too many requests'),
  /** 1003: a binary frame; the protocol has text frames only. */
  binaryFrame: everyday(1003, 'text frames only'),
  /** 1012, come back with the last cursor: the read models failed during a replay. */
  replayFailed: everyday(1012, 'the history cannot be read now; come back'),
  /** 1012, come back with the last cursor: this node stops. */
  serverRestarts: everyday(1012, 'the server restarts'),
} satisfies Record<string, CloseCause>;

function everyday(code: CloseCause['code'], reason: string): CloseCause {
  return { code, reason, isMisuse: false };
}

function misuse(code: CloseCause['code'], reason: string): CloseCause {
  return { code, reason, isMisuse: true };
}
