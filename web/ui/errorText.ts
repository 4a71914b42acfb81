import type { ClientError } from '@parley/client';
import { hasText, text } from './texts.js';

/**
 * One sentence about the error in the user's language, never a bare code. A server that is newer than this page may have
 * a code that the page does not know: only then the sentence is the server's own, in English.
 */
export function errorText({ code, reason, detail, message }: ClientError): string {
  if (reason === 'host') return text('reason.host', { detail: detail ?? '' });
  const names = [`reason.${reason}`, `error.${code}`];
  const known = names.find(hasText);
  if (known !== undefined) return text(known);
  // The server's messages begin with a small letter and have no full stop.
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}
