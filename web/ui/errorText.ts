import type { ClientError } from '@parley/client';
import { isEnglish, text } from './texts.js';

/** Codes whose message from the server is about this very input. */
const isAboutInput = ({ code }: ClientError): boolean =>
  code === 'bad_request' || code === 'forbidden' || code === 'conflict' || code === 'not_found';

/** The server's messages are parts of a line of its log. */
const sentenceOf = (message: string): string =>
  `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`;

/** One sentence about the error, for the user; never a bare code. */
export function errorText(error: ClientError): string {
  const { code, reason, detail, message, fields } = error;
  if (reason === 'host') return text('reason.host', { detail: detail ?? '' });
  if (reason) return text(`reason.${reason}`);
  // The server's own messages are in English.
  const told = fields[0]?.message ?? (isAboutInput(error) && message !== code ? message : undefined);
  return told !== undefined && isEnglish() ? sentenceOf(told) : text(`error.${code}`);
}
