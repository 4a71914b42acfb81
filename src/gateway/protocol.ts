import { badRequest, type FieldError, ParleyError, writeBounded } from '../base/errors.js';
import { ABUSE_SPAN_MS, MAX_BAD_FRAMES, MAX_REFUSALS, MAX_USER_CONNECTIONS } from '../base/rateLimits.js';
import type { PushName, RequestName } from '../domain/contract.js';
import { IDENTIFY_TIMEOUT_MS, MAX_FRAME_BYTES } from '../domain/limits.js';

/** A safe integer or a string of at most 128 bytes that the client picks, to recognise the answer. */
export type RequestId = number | string;

export interface Request {
  readonly id: RequestId;
  readonly event: string;
  readonly data: unknown;
  /** At most the bytes of the frame. */
  readonly size: number;
}

/** A frame that is no request. It is answered, and counts towards abuse. */
export interface BadFrame {
  readonly id?: RequestId;
  readonly event?: string;
  readonly size: number;
  readonly error: ParleyError;
}

const MAX_ID_BYTES = 128;

/** Reads a client's frame: a JSON object with a string `event` and an `id`. */
export function parseFrame(text: string): Request | BadFrame {
  const size = text.length;
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch (cause) {
    return {
      size,
      error: new ParleyError('bad_request', 'the frame is not JSON', { fields: [] }, { cause }),
    };
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame))
    return { size, error: badRequest('the frame is not a JSON object') };
  const { id, event, data } = frame as Record<string, unknown>; // An object that is no array has string keys.
  const hasId = typeof id === 'string' ? Buffer.byteLength(id) <= MAX_ID_BYTES : Number.isSafeInteger(id);
  const usable = hasId ? (id as RequestId) : undefined; // Just checked.
  if (typeof event === 'string' && usable !== undefined)
    return { id: usable, event, data: data === undefined ? {} : data, size };
  const fields: FieldError[] = [];
  if (typeof event !== 'string') fields.push({ path: 'event', message: 'must be a string' });
  if (!hasId)
    fields.push({
      path: 'id',
      message: `must be a safe integer or a string of at most ${MAX_ID_BYTES} bytes`,
    });
  return {
    ...(usable === undefined ? {} : { id: usable }),
    ...(typeof event === 'string' ? { event } : {}),
    size,
    error: badRequest('the frame needs a string `event` and an `id`', fields),
  };
}

/** Requests whose answers have up to megabytes. */
export const largeAnswers: ReadonlySet<string> = new Set<RequestName>([
  'fetch messages',
  'get active chats',
  'get edits',
]);

/** An answer's text; `data` is already JSON. */
export function answerText(request: { id: RequestId; event: string }, data: string): string {
  return `{"id":${JSON.stringify(request.id)},"event":${JSON.stringify(request.event)},"data":${data}}`;
}

/** An event's name that is longer is not given back. */
const MOST_EVENT_CHARACTERS = 256;

/** A refusal's text, with `id` and `event` where the frame had usable ones. It is not much larger than the frame. */
export function errorText(
  { id, event, size }: Pick<BadFrame, 'id' | 'event'> & { size: number },
  error: ParleyError,
  incident?: string,
): string {
  const { code, details } = error;
  const told = (event?.length ?? 0) > MOST_EVENT_CHARACTERS ? undefined : event;
  return writeBounded(error, size, ({ message, fields }) => {
    const body = {
      code,
      message,
      ...(code === 'bad_request' ? { fields } : {}),
      ...(details.reason === undefined ? {} : { reason: details.reason }),
      ...(details.detail === undefined ? {} : { detail: details.detail }),
      ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(details.retryAfterMs) }),
      ...(incident === undefined ? {} : { incident }),
    };
    return JSON.stringify({ id, event: told, error: body });
  });
}

/** Stands between a push and its cursor, which comes last. */
const CURSOR = ',"cursor":"';

/** A push's text; `data` is already JSON. A push that is not stored has no cursor. */
export function pushText(event: PushName, data: string, cursor?: string): string {
  const end = cursor === undefined ? '}' : `${CURSOR}${cursor}"}`;
  return `{"event":"${event}","data":${data}${end}`;
}

/** The two parts of a stored push's text: what `pushText` wrote before the cursor, and the cursor. */
export function splitPush(text: string): { readonly body: string; readonly cursor: string } {
  const at = text.lastIndexOf(CURSOR);
  return { body: text.slice(0, at), cursor: text.slice(at + CURSOR.length, -2) };
}

/** The text of a stored push; the inverse of `splitPush`. */
export const joinPush = (body: string, cursor: string): string => `${body}${CURSOR}${cursor}"}`;

/** The largest frame on the wire. */
export const MAX_WIRE_FRAME_BYTES = 64 * 1024;
const MAX_PAYLOAD_BYTES = MAX_WIRE_FRAME_BYTES - 4;

/** RFC 6455 section 5.2: the first byte of a frame. */
const FINAL = 0x80;
const TEXT = 1;
const CONTINUATION = 0;

/**
 * A complete server-to-client text message (RFC 6455 section 5.2, unmasked). Built here, not by the library, so that
 * all connections that receive the same push share one buffer. A message beyond `MAX_WIRE_FRAME_BYTES` is fragmented:
 * all frames but the last have exactly this size, and the library may send pings, pongs and a close between them.
 */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  if (length > MAX_PAYLOAD_BYTES) return fragmentedMessage(Buffer.from(text));
  const header = length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = FINAL | TEXT;
  frame[1] = Math.min(length, 126);
  if (header > 2) frame.writeUInt16BE(length, 2);
  frame.write(text, header);
  return frame;
}

function fragmentedMessage(payload: Buffer): Buffer {
  const whole = Math.floor((payload.length - 1) / MAX_PAYLOAD_BYTES);
  const rest = payload.length - whole * MAX_PAYLOAD_BYTES;
  const message = Buffer.allocUnsafe(whole * MAX_WIRE_FRAME_BYTES + headerBytes(rest) + rest);
  for (let i = 0; i <= whole; i++) {
    const part = payload.subarray(i * MAX_PAYLOAD_BYTES, (i + 1) * MAX_PAYLOAD_BYTES);
    const at = i * MAX_WIRE_FRAME_BYTES;
    writeHeader(message, at, (i === whole ? FINAL : 0) | (i === 0 ? TEXT : CONTINUATION), part.length);
    part.copy(message, at + headerBytes(part.length));
  }
  return message;
}

const headerBytes = (payload: number): number => (payload < 126 ? 2 : 4);

function writeHeader(frame: Buffer, at: number, firstByte: number, payload: number): void {
  frame[at] = firstByte;
  frame[at + 1] = Math.min(payload, 126);
  if (payload >= 126) frame.writeUInt16BE(payload, at + 2);
}

/** The text of a message that `textFrame` made. */
export function frameText(message: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += MAX_WIRE_FRAME_BYTES) {
    const isShort = message.readUInt8(at + 1) < 126;
    parts.push(message.subarray(at + (isShort ? 2 : 4), at + MAX_WIRE_FRAME_BYTES));
  }
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only.toString() : Buffer.concat(parts).toString();
}

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
  4401: `not signed in within ${IDENTIFY_TIMEOUT_MS / 1000} s, signed out, the session has ended, or the user is \`suspended\` or has \`password_changed\` on another device (the reason then)`,
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
  /** 4401: the session was ended by a sign-out or an erasure. */
  signedOut: everyday(4401, 'signed out'),
  /** 4401: the session was ended by a change of the password, as far as this node knows. */
  passwordChanged: everyday(4401, 'password_changed'),
  /** 4401: a moderator suspended the user. */
  suspended: everyday(4401, 'suspended'),
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
