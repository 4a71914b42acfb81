import { z } from 'zod';
import { isGroupId } from './ids.js';
import { CURSOR_CHARACTERS, countCodePoints, PAGE_ROWS, REVISION_CHARACTERS } from './limits.js';

/** Parts of the contract that several features share. A schema validates, gives the type, and is in the documents. */

export const Id = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, 'must be a UUID')
  .toLowerCase()
  .meta({ format: 'uuid', description: 'A UUID; compared and given back in lower case.' });

/** A group's id is of its creator's choice. Ids of private rooms have another version, so that none can be taken. */
export const GroupId = Id.refine(isGroupId, 'must be a UUID of version 4 or 7');

const WHITE_SPACE_ONLY = /^\p{White_Space}*$/u;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Control characters, and those that change the direction of what is behind them. */
const NO_NAME_CHARACTER = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

/** Returns true if a name may have all these characters. */
export const canBeInName = (text: string): boolean => !NO_NAME_CHARACTER.test(text);

const boundedText = (max: number, isWrong: (text: string) => string | undefined) =>
  z
    .string()
    // The client checks texts too, in browsers without `isWellFormed`.
    .check(({ value: text, issues }) => {
      const add = (message: string) => issues.push({ code: 'custom', message, input: text });
      if (text.length > max && countCodePoints(text) > max)
        add(`must be at most ${max.toLocaleString('en-US')} code points`);
      if (LONE_SURROGATE.test(text)) add('must not contain lone surrogates');
      const wrong = isWrong(text);
      if (wrong !== undefined) add(wrong);
    })
    .meta({ maxLength: max });

export const WRONG_CHARACTERS = 'must not contain control or direction-changing characters';

/** A name that people give: 1 to `max` code points on one line. */
export const label = (max: number) =>
  boundedText(max, (text) => {
    if (WHITE_SPACE_ONLY.test(text)) return 'must not be empty or only white space';
    if (!canBeInName(text)) return WRONG_CHARACTERS;
    return undefined;
  });

/** A text that people write: 1 to `max` code points, kept exactly as sent. */
export const textOf = (max: number) =>
  boundedText(max, (text) => {
    if (text === '') return 'must not be empty';
    return WHITE_SPACE_ONLY.test(text) ? 'must not be only white space' : undefined;
  }).meta({
    maxLength: max,
    description: `1–${max.toLocaleString('en-US')} code points, not only white space, no lone surrogates; kept exactly as sent.`,
  });

/** A text of at most `max` code points that may be empty. */
export const note = (max: number) =>
  boundedText(max, (text) =>
    text !== '' && WHITE_SPACE_ONLY.test(text) ? 'must not be only white space' : undefined,
  );

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

/** The answer of a request that needs none. */
export const Empty = z.strictObject({});

/**
 * How a feature is declared. Each file of this folder that is named in `features.ts` exports the events, commands,
 * requests and pushes of one feature. Types, dispatch, documents and look-ups are derived from these declarations.
 */

/** AES-256-GCM: base64 of nonce (12 bytes), ciphertext and tag (16 bytes). Opened with its owner's data key. */
export type Sealed = string;
