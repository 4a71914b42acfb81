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

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The fixed words that say why a request was refused. Clients make texts of them in their users' languages. */
export const ERROR_REASONS = [
  'admins_only',
  'blocked',
  'characters',
  'erased',
  'gone',
  'group_full',
  'history',
  'host',
  'last_owner',
  'not_member',
  'not_sender',
  'not_taken',
  'owners_only',
  'password_changed',
  'sign_in_again',
  'sign_up_closed',
  'suspended',
  'too_late',
  'too_many',
  'too_many_groups',
  'url',
  'wrong_password',
] as const;
export type ErrorReason = (typeof ERROR_REASONS)[number];

export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export interface ErrorDetails {
  /** Present with `bad_request`. */
  readonly fields?: readonly FieldError[];
  /** May be present with `forbidden`, `conflict` and `bad_request`. */
  readonly reason?: ErrorReason;
  /** May be present with the reason `host`: the host's own word. */
  readonly detail?: string;
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
export const forbidden = (message: string, reason?: ErrorReason, detail?: string): ParleyError =>
  new ParleyError('forbidden', message, reason && { reason, ...(detail === undefined ? {} : { detail }) });
export const conflict = (message: string, reason?: ErrorReason): ParleyError =>
  new ParleyError('conflict', message, reason && { reason });
export const unauthenticated = (message: string): ParleyError => new ParleyError('unauthenticated', message);
/** Nothing was done. The client may try again after `retryAfterMs`. */
export const overloaded = (message: string, retryAfterMs = 1000): ParleyError =>
  new ParleyError('overloaded', message, { retryAfterMs });
/** The command may have taken effect. The client should repeat it, with the same id, after `retryAfterMs`. */
export const outcomeUnknown = (message: string, cause?: unknown, retryAfterMs = 1000): ParleyError =>
  new ParleyError('unknown', message, { retryAfterMs }, { cause });

/** The most fields that an error names. */
const MOST_FIELDS = 20;
/** The most characters of a path, which a client chooses where it names an unknown field. */
const MOST_PATH_CHARACTERS = 256;

/** A `bad_request` that names the wrong fields; of many, the first. */
export function wrongFields(fields: readonly FieldError[], reason?: ErrorReason): ParleyError {
  const named = fields
    .slice(0, MOST_FIELDS)
    .map(({ path, message }) => ({ path: cutText(path, MOST_PATH_CHARACTERS), message }));
  const [first] = named;
  const others = fields.length > 1 ? ` (and ${fields.length - 1} more)` : '';
  const message = first ? `${first.path || 'data'} ${first.message}${others}` : 'the data is wrong';
  return new ParleyError('bad_request', message, { fields: named, ...(reason && { reason }) });
}

/** The largest error in bytes, and by how much it may exceed what caused it. */
const MOST_ERROR_BYTES = 16 * 1024;
const MOST_GROWTH_BYTES = 1024;
/** A message that is cut to this length fits into any error. */
const SHORT_MESSAGE_CHARACTERS = 100;

/** The parts of an error that may be left out, so that it is not too large. */
export interface ToldError {
  readonly message: string;
  readonly fields: readonly FieldError[];
}

/**
 * Writes an error for a client, whose request had at least `causeBytes`. An error has at most 16 KiB and exceeds its
 * cause by at most 1 KiB, so that small requests cannot cause large answers. Fields that do not fit are left out, the
 * last ones first.
 */
export function writeBounded(
  { message, details }: ParleyError,
  causeBytes: number,
  write: (told: ToldError) => string,
): string {
  const limit = Math.min(MOST_ERROR_BYTES, causeBytes + MOST_GROWTH_BYTES);
  const fields = (details.fields ?? []).slice(0, MOST_FIELDS);
  for (let count = fields.length; count >= 0; count--) {
    const text = write({ message, fields: fields.slice(0, count) });
    if (utf8Length(text) <= limit) return text;
  }
  return write({ message: cutText(message, SHORT_MESSAGE_CHARACTERS), fields: [] });
}

/** The bytes of a text in UTF-8. Clients use this file too, where neither `Buffer` nor `TextEncoder` is certain. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** The text, or its beginning with an ellipsis; never half of a surrogate pair. */
function cutText(text: string, characters: number): string {
  if (text.length <= characters) return text;
  return `${text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

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

/** Returns true if the error is the MongoDB driver's for a server that it does not reach. */
export const isDatabaseUnreachable = (error: unknown): error is Error =>
  error instanceof Error && UNREACHABLE_ERRORS.has(error.name);

/** Returns true if a store is temporarily unavailable: neither the request nor this program is at fault. */
export const isOutage = (error: unknown): error is Error =>
  error instanceof VaultUnavailable ||
  isDatabaseUnreachable(error) ||
  (error instanceof Error && 'code' in error && BROKEN_SOCKET_CODES.has(error.code));

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
