import { ABUSE_SPAN_MS, MAX_BAD_FRAMES, MAX_REFUSALS, MAX_USER_CONNECTIONS } from '../base/rateLimits.js';
import { IDENTIFY_TIMEOUT_MS, MAX_FRAME_BYTES } from '../domain/limits.js';

const span = `${ABUSE_SPAN_MS / 1000} s`;
const refusals = MAX_REFUSALS.toLocaleString('en');

/** The meaning of each close code. The WebSocket library itself closes with 1002, 1007 and 1009. */
export const closeCodes = {
  1002: 'a breach of RFC 6455',
  1003: 'a binary frame',
  1007: 'bad UTF-8',
  1008: `${MAX_BAD_FRAMES} frames within ${span} that are no requests, ${refusals} answered \`rate_limited\`, or a connection beyond ${MAX_USER_CONNECTIONS} of a user`,
  1009: `a frame of more than ${MAX_FRAME_BYTES / 1024} KiB`,
  1012: 'the server restarts: connect again, with the last cursor',
  4401: `not signed in within ${IDENTIFY_TIMEOUT_MS / 1000} s, signed out, or the session has ended`,
  4408: 'the client does not read',
} as const;

/** Why the server closes a connection. */
export interface CloseCause {
  readonly code: keyof typeof closeCodes;
  /** Sent to the client in the close frame, and logged. */
  readonly reason: string;
  /** The client misbehaves: logged as a warning. The other causes are normal. */
  readonly isMisuse: boolean;
}

/** All causes for which the server closes a connection, each with its rule. */
export const closeCauses = {
  /** 4401, not signed in: no `identity` succeeded within `IDENTIFY_TIMEOUT_MS`. */
  notIdentified: everyday(4401, `not signed in within ${IDENTIFY_TIMEOUT_MS / 1000} s`),
  /** 4401: the token's lifetime (`SESSION_TTL`) has passed. */
  sessionExpired: everyday(4401, 'the sign-in has ended'),
  /** 4401: the session was ended by a sign-out, a password change or an erasure. */
  signedOut: everyday(4401, 'signed out'),
  /** 4408, slow reader: see `SLOW_READER_STUCK_MS` and `SLOW_READER_MAX_WAITING_BYTES`. */
  slowReader: misuse(4408, 'the client does not read'),
  /** 1008, abuse: `MAX_BAD_FRAMES` within `ABUSE_SPAN_MS` that are no requests. */
  badFrames: misuse(1008, 'too many frames that are no requests'),
  /** 1008, abuse: `MAX_REFUSALS` requests answered `rate_limited` within `ABUSE_SPAN_MS`. */
  tooManyRequests: misuse(1008, 'too many requests'),
  /** 1008, abuse: the user has `MAX_USER_CONNECTIONS` on this node. */
  tooManyConnections: misuse(1008, 'too many connections of this user'),
  /** 1003: a binary frame; the protocol has text frames only. */
  binaryFrame: everyday(1003, 'text frames only'),
  /** 1012: the read models failed during a replay. The client reconnects with the last cursor. */
  replayFailed: everyday(1012, 'missed messages cannot be read now; reconnect with the last cursor'),
  /** 1012: this node stops. The client reconnects with the last cursor. */
  serverRestarts: everyday(1012, 'the server restarts'),
} satisfies Record<string, CloseCause>;

function everyday(code: CloseCause['code'], reason: string): CloseCause {
  return { code, reason, isMisuse: false };
}

function misuse(code: CloseCause['code'], reason: string): CloseCause {
  return { code, reason, isMisuse: true };
}
