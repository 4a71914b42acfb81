import { z } from 'zod';
import { CURSOR_CHARACTERS, PAGE_ROWS, REVISION_CHARACTERS } from './limits.js';

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
/** The answer of a request that needs none. */
export const Empty = z.strictObject({});

/**
 * How a feature is declared. Each file of this folder that is named in `features.ts` exports the events, commands,
 * requests and pushes of one feature. Types, dispatch, documents and look-ups are derived from these declarations.
 */

/** AES-256-GCM: base64 of nonce (12 bytes), ciphertext and tag (16 bytes). Opened with its owner's data key. */
export type Sealed = string;
