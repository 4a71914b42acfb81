import { badRequest, type FieldError, ParleyError, writeBounded } from '../base/errors.js';
import { type PushName, type RequestName, requests } from '../domain/contract.js';

/** A number or a string that the client picks, to recognise the answer. */
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

const MAX_ID_LENGTH = 256;

const isId = (id: unknown): id is RequestId =>
  (typeof id === 'string' && id.length <= MAX_ID_LENGTH) || (typeof id === 'number' && Number.isFinite(id));

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
  if (typeof event === 'string' && isId(id)) return { id, event, data: data === undefined ? {} : data, size };
  const fields: FieldError[] = [];
  if (typeof event !== 'string') fields.push({ path: 'event', message: 'must be a string' });
  if (!isId(id))
    fields.push({
      path: 'id',
      message: `must be a number or a string of at most ${MAX_ID_LENGTH} characters`,
    });
  return {
    ...(isId(id) ? { id } : {}),
    ...(typeof event === 'string' ? { event } : {}),
    size,
    error: badRequest('the frame needs a string `event` and an `id`', fields),
  };
}

export const isRequestName = (event: string): event is RequestName => Object.hasOwn(requests, event);

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
  const body = `{"event":"${event}","data":${data}`;
  return cursor === undefined ? `${body}}` : joinPush(body, cursor);
}

/** The two parts of a stored push's text: what `pushText` wrote before the cursor, and the cursor. */
export function splitPush(text: string): { readonly body: string; readonly cursor: string } {
  const at = text.lastIndexOf(CURSOR);
  return { body: text.slice(0, at), cursor: text.slice(at + CURSOR.length, -2) };
}

/** The text of a stored push; the inverse of `splitPush`. */
export const joinPush = (body: string, cursor: string): string => `${body}${CURSOR}${cursor}"}`;

/**
 * A complete server-to-client text frame (RFC 6455 section 5.2: FIN, opcode 1, unmasked). Built here, not by the
 * library, so that all connections that receive the same push share one buffer.
 */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = 0x81;
  if (header === 2) frame[1] = length;
  else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeUInt32BE(0, 2);
    frame.writeUInt32BE(length, 6);
  }
  frame.write(text, header);
  return frame;
}

/** The text of a frame that `textFrame` made. */
export function frameText(frame: Buffer): string {
  const length = frame[1] ?? 0;
  return frame.toString('utf8', length < 126 ? 2 : length === 126 ? 4 : 10);
}
