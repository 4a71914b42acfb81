import { z } from 'zod';
import { CURSOR_CHARACTERS, MESSAGE_CODE_POINTS, PAGE_ROWS, REVISION_CHARACTERS } from './limits.js';

/** Parts of the contract that several features share. A schema validates, gives the type, and is in the documents. */

export const Id = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, 'must be a UUID')
  .toLowerCase()
  .meta({ format: 'uuid', description: 'A UUID; compared and given back in lower case.' });

export const Time = z
  .string()
  .meta({ format: 'date-time', description: 'ISO 8601 in UTC with milliseconds.' });
/** ISO 8601 in UTC with milliseconds. */
export type Time = string;

function codePoints(text: string): number {
  let n = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) n--;
  }
  return n;
}

const limit = MESSAGE_CODE_POINTS.toLocaleString('en-US');

export const MessageText = z
  .string()
  .min(1, 'must not be empty')
  .check(({ value: text, issues }) => {
    const add = (message: string) => issues.push({ code: 'custom', message, input: text });
    if (text.length > MESSAGE_CODE_POINTS && codePoints(text) > MESSAGE_CODE_POINTS)
      add(`must be at most ${limit} code points`);
    if (!text.isWellFormed()) add('must not contain lone surrogates');
    if (!/\S/.test(text)) add('must not be only white space');
  })
  .meta({
    description: `1–${limit} code points, not only white space, no lone surrogates; kept exactly as sent.`,
    maxLength: MESSAGE_CODE_POINTS,
  });

export const Seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const Limit = z.int().min(1).max(PAGE_ROWS.max).default(PAGE_ROWS.default);
export const Revision = z
  .string()
  .min(1)
  .max(REVISION_CHARACTERS)
  .meta({ description: 'Opaque: answer from at least this moment of the log.' });
export const Cursor = z
  .string()
  .min(1)
  .max(CURSOR_CHARACTERS)
  .meta({ description: 'Opaque: where a connection has got to.' });
export const Empty = z.strictObject({});

/**
 * How a feature is declared. Each file of this folder that is named in `features.ts` exports the events, commands,
 * requests and pushes of one feature. Types, dispatch, documents and look-ups are derived from these declarations.
 */

/** AES-256-GCM: base64 of nonce (12 bytes), ciphertext and tag (16 bytes). Opened with its owner's data key. */
export type Sealed = string;
