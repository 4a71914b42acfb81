import { z } from 'zod';
import type { ErrorCode } from '../../base/errors.js';

/** A JSON Schema or any other JSON object of a document. */
export type Json = { readonly [key: string]: unknown };

const dialects = {
  'draft-2020-12': '$defs',
  'draft-7': 'definitions',
} as const;

/** Turns schemas into JSON Schema; those with an id are gathered and referred to under `#/components/schemas`. */
export class Components {
  readonly schemas: Record<string, Json> = {};
  readonly #target: keyof typeof dialects;

  constructor(target: keyof typeof dialects) {
    this.#target = target;
  }

  /** `input`: the fields that a client sends, without defaults. `output`: the fields after validation. */
  schema(schema: z.ZodType, io: 'input' | 'output'): Json {
    const keyword = dialects[this.#target];
    const text = JSON.stringify(z.toJSONSchema(schema, { target: this.#target, io }));
    const hoisted = text.replaceAll(`"#/${keyword}/`, '"#/components/schemas/');
    // It was an object before it was text.
    const { $schema: _, [keyword]: named, ...own } = JSON.parse(hoisted) as Json;
    Object.assign(this.schemas, named);
    return own;
  }
}

/** Descriptions that schemas cannot hold, for both documents and the documentation. */

/** Changes with the contract, not with the program. */
export const contractVersion = '1.0.0';

export const errorCodes: Record<ErrorCode, { readonly http: number; readonly meaning: string }> = {
  bad_request: {
    http: 400,
    meaning: 'with `fields: [{path, message}]`, possibly empty; a body too large is 413',
  },
  unauthenticated: { http: 401, meaning: 'sign in' },
  forbidden: { http: 403, meaning: 'not for this user' },
  not_found: { http: 404, meaning: 'there is none, or it is not yours' },
  conflict: { http: 409, meaning: 'the name or the message id is taken' },
  rate_limited: { http: 429, meaning: 'nothing was done; try again after `retryAfterMs`' },
  overloaded: { http: 503, meaning: 'nothing was done; try again after `retryAfterMs`' },
  unknown: {
    http: 504,
    meaning: 'it may have happened; after `retryAfterMs` send it again with the same ids',
  },
  internal: { http: 500, meaning: 'a fault of the server; `incident` is in its log' },
};
