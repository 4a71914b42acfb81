import type { ClientError, ClientErrorCode } from '@parley/client';

/** A sentence for each code that has no better text from the server. */
const sentences: Readonly<Record<ClientErrorCode, string>> = {
  bad_request: 'The server does not accept it.',
  unauthenticated: 'You are signed out.',
  forbidden: 'You are not allowed to do this.',
  not_found: 'The other user or the chat no longer exists.',
  conflict: 'It was changed in the meantime.',
  rate_limited: 'Too many requests. Try again in a moment.',
  overloaded: 'The server is busy. Try again in a moment.',
  unknown: 'The server did not answer in time. Try again.',
  internal: 'The server has a problem. Try again in a moment.',
  timeout: 'The server did not answer in time. Try again.',
  disconnected: 'Cannot reach the server. Check your connection.',
  closed: 'The connection was closed.',
  signed_out: 'You are signed out.',
  too_many: 'Too many messages are waiting. Try again when the connection is back.',
  not_kept: 'This browser cannot store it. Try again.',
};

/** Codes whose message from the server is about this very input. */
const isAboutInput = ({ code }: ClientError): boolean =>
  code === 'bad_request' || code === 'forbidden' || code === 'conflict' || code === 'not_found';

/** One sentence about the error, for the user; never a bare code. */
export function errorText(error: ClientError): string {
  const { code, message, fields } = error;
  const [field] = fields;
  if (field) return field.message;
  return isAboutInput(error) && message !== code ? message : sentences[code];
}
