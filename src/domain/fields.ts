import { z } from 'zod';
import { CURSOR_CHARACTERS, countCodePoints, PAGE_ROWS, REVISION_CHARACTERS } from './limits.js';

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

/** The place of a message in its room. */
export const Seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
/** The most rows of a page. */
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

/** Adds what is wrong with a text of `most` code points at most. The client checks texts too, in any browser. */
function checkText(text: string, most: number, add: (message: string) => void): void {
  if (text.length > most && countCodePoints(text) > most)
    add(`must be at most ${most.toLocaleString('en-US')} code points`);
  if (/\p{Surrogate}/u.test(text)) add('must not contain lone surrogates');
  if (!/\P{White_Space}/u.test(text)) add('must not be only white space');
}

/** A text that people write: not only white space by Unicode's `White_Space`, no lone surrogates; kept as sent. */
export const textOf = (most: number) =>
  z
    .string()
    .check(({ value, issues }) =>
      checkText(value, most, (message) => issues.push({ code: 'custom', message, input: value })),
    )
    .meta({
      minLength: 1,
      maxLength: most,
      description: `1–${most.toLocaleString('en-US')} code points, not only white space, no lone surrogates; kept exactly as sent.`,
    });

/** A character that a name must not have: it is not seen, or turns the direction of the text around the name. */
const NOT_IN_NAMES = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

/** Returns true if a name may have all these characters. */
export const canBeInName = (text: string): boolean => !NOT_IN_NAMES.test(text);

/** A name that people choose: a text of one line that does not change how the text around it is read. */
export const nameOf = (most: number) =>
  textOf(most)
    .refine(canBeInName, 'must not contain control characters or marks that change the direction of text')
    .meta({
      minLength: 1,
      maxLength: most,
      description: `1–${most} code points, not only white space, no lone surrogates, control characters or direction marks.`,
    });

/** The answer of a request that needs none. */
export const Empty = z.strictObject({});

/**
 * How a feature is declared. Each file of this folder that is named in `features.ts` exports the events, commands,
 * requests and pushes of one feature. Types, dispatch, documents and look-ups are derived from these declarations.
 */

/** AES-256-GCM: base64 of nonce (12 bytes), ciphertext and tag (16 bytes). Opened with its owner's data key. */
export type Sealed = string;
