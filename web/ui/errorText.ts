import type { ClientError } from '@parley/client';
import { isEnglish, text } from './texts.js';

/** Whether the server's message explains the refusal of this very input. Messages of other codes may name ids. */
const explainsRefusal = ({ code, message }: ClientError): boolean =>
  (code === 'bad_request' || code === 'forbidden') && message !== code;

/** One sentence about the error, for the user; never a bare code. */
export function errorText(error: ClientError): string {
  const { code, reason, detail, fields } = error;
  if (reason === 'host') return text('reason.host', { detail: detail ?? '' });
  if (reason) return text(`reason.${reason}`);
  // The server's messages are in English. They begin with a small letter and have no full stop.
  if (!isEnglish() || !explainsRefusal(error)) return text(`error.${code}`);
  const told = fields[0]?.message ?? error.message;
  return `${told.charAt(0).toUpperCase()}${told.slice(1)}.`;
}
