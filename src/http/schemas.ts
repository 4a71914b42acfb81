import common from '@zxcvbn-ts/language-common';
import { z } from 'zod';
import { ERROR_CODES, ERROR_REASONS, type ErrorCode, type ErrorReason } from '../base/errors.js';
import { Time } from '../domain/fields.js';
import {
  PASSWORD_CHARACTERS,
  REVISION_CHARACTERS,
  SEARCH_CHARACTERS,
  TOKEN_CHARACTERS,
} from '../domain/limits.js';
import { Chat, User } from '../domain/userMessageChat.js';
import { Username } from '../domain/users.js';

/** The schemas of REST: each validates, gives the type, and is shown in `/openapi.json`. */

const COMMON_PASSWORDS = 3_000;

// The package lists them in lower case, the most common first.
const commonPasswords = new Set(common.dictionary['passwords-common'].slice(0, COMMON_PASSWORDS));

/** Whether it is among the 3,000 most common passwords, whatever its case. */
export const isCommonPassword = (password: string): boolean => commonPasswords.has(password.toLowerCase());

/** The `limit` of a page, as a query gives it; `rows` has the default and the most rows. */
export const pageLimit = (rows: { readonly default: number; readonly max: number }) =>
  z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(1).max(rows.max))
    .default(rows.default);

const codePoints = (text: string): number => Array.from(text).length;
export const hasLength = (
  { min, max }: { readonly min: number; readonly max: number },
  text: string,
): boolean => {
  const n = codePoints(text);
  return n >= min && n <= max;
};

const NewPassword = z
  .string()
  .refine((text) => hasLength(PASSWORD_CHARACTERS, text), {
    error: `must have ${PASSWORD_CHARACTERS.min}–${PASSWORD_CHARACTERS.max} characters`,
    abort: true,
  })
  .refine((text) => !isCommonPassword(text), 'must not be one of the most common passwords: choose another')
  .meta({
    minLength: PASSWORD_CHARACTERS.min,
    maxLength: PASSWORD_CHARACTERS.max,
    description: 'Any characters; not among the 3,000 most common.',
  });

export const SignUp = z.strictObject({ username: Username, password: NewPassword });
export const SignUpAnswer = z.strictObject({ user: User });

// Any two strings may be tried: one that cannot be a name is answered as an unknown name.
export const SignIn = z.strictObject({ username: z.string(), password: z.string() });
export const SignInAnswer = z.strictObject({
  token: z.string().meta({ description: 'Opaque; for `Authorization: Bearer` and `identity`.' }),
  expiresAt: Time,
  user: User,
  friends: z.array(User),
  activeChats: z.array(Chat).meta({ description: 'The first 50.' }),
});

export const SignOutQuery = z.strictObject({
  everywhere: z
    .enum(['true', 'false', 'others'])
    .default('false')
    .meta({ description: '`true` ends all sessions of the user, `others` all except this one.' }),
});

export const ChangePassword = z.strictObject({ password: z.string(), newPassword: NewPassword });

/** Any strings are a try, as for a sign-in. */
export const ResetPassword = z.strictObject({
  username: z.string(),
  code: z.string().max(256),
  newPassword: NewPassword,
});

export const EraseUser = z.strictObject({
  password: z.string().exactOptional().meta({ description: 'Of a user who has one.' }),
  token: z.string().max(TOKEN_CHARACTERS).exactOptional().meta({
    description:
      'Of a user without a password: issued within the last 5 minutes. By default that of `Authorization`.',
  }),
});

export const ProfileAnswer = z.strictObject({
  user: User,
  revision: z.string().meta({ description: 'Opaque: a query that carries it includes the change.' }),
});

export const NoFields = z.strictObject({});

const Revision = z
  .string()
  .min(1)
  .max(REVISION_CHARACTERS)
  .meta({ description: 'Opaque, from the answer to a command: the answer includes that command.' });

export const RevisionQuery = z.strictObject({ revision: Revision.exactOptional() });

export const SearchQuery = z.strictObject({
  q: z
    .string()
    .refine(
      (text) => hasLength({ min: 1, max: SEARCH_CHARACTERS }, text),
      `must have 1–${SEARCH_CHARACTERS} characters`,
    )
    .meta({
      minLength: 1,
      maxLength: SEARCH_CHARACTERS,
      description: 'Any part of the name, taken literally, without regard to case.',
    }),
  limit: pageLimit({ default: 20, max: 50 }),
  revision: Revision.exactOptional(),
});

export const SearchAnswer = z.strictObject({
  users: z
    .array(User)
    .meta({ description: 'Exact matches, then prefixes, then the rest; not me, not my friends.' }),
});

export const UserAnswer = z.strictObject({
  user: User,
  friends: z.array(User).exactOptional(),
  activeChats: z.array(Chat).exactOptional(),
});

export const Problem = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    code: z.enum(ERROR_CODES),
    fields: z
      .array(z.strictObject({ path: z.string(), message: z.string() }))
      .exactOptional()
      .meta({ description: 'With `bad_request`: the first 20 at most, possibly none.' }),
    reason: z.enum(ERROR_REASONS).exactOptional().meta({
      description:
        'May come with `forbidden`, `conflict` and `bad_request`: one of these words, to make a text of. The contract at `/docs/protocol` explains each.',
    }),
    retryAfterMs: z
      .int()
      .min(0)
      .exactOptional()
      .meta({ examples: [1000], description: 'With `rate_limited`, `overloaded` and `unknown`.' }),
    incident: z
      .string()
      .exactOptional()
      .meta({ description: 'With `internal`: the operator finds it in the log.' }),
    failing: z.string().exactOptional().meta({ description: 'On `/ready`: the part that is not ready.' }),
    warnings: z
      .array(z.string())
      .exactOptional()
      .meta({ description: 'On `/ready`: what needs an operator, such as `clock`.' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });

/** A JSON Schema or any other JSON object of a document. */
export type Json = { readonly [key: string]: unknown };

const dialects = {
  'draft-2020-12': '$defs',
  'draft-7': 'definitions',
} as const;

/** Says by its number of items that a tuple has no more than its places: linters refuse `items: false`. */
function describeTuple({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const { prefixItems, items } = jsonSchema;
  if (prefixItems === undefined || items !== false) return;
  jsonSchema.items = {};
  jsonSchema.minItems = prefixItems.length;
  jsonSchema.maxItems = prefixItems.length;
}

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
    const text = JSON.stringify(
      z.toJSONSchema(schema, { target: this.#target, io, override: describeTuple }),
    );
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

export const license = { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' };

export const errorCodes: Record<ErrorCode, { readonly http: number; readonly meaning: string }> = {
  bad_request: {
    http: 400,
    meaning:
      'with `fields: [{path, message}]`, at most 20, possibly none; a wrong method is 405, a body too large 413, and one of another type 415',
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

/** What each reason means, and what the caller can do. */
export const errorReasons: Record<ErrorReason, string> = {
  admins_only: '`forbidden`: only owners and admins of the group may do this. Ask one of them.',
  blocked: '`forbidden`: this user has blocked the other one. End the block first.',
  characters: '`bad_request`: a text has control or direction-changing characters, which names cannot have.',
  erased: '`forbidden`: the other member of this private room was erased. Nothing more can be sent to it.',
  gone: '`conflict`: the message was deleted, or the last member has left the group. It does not come back: remove it from your view.',
  group_full: '`forbidden`: the group has `GROUP_SIZE` members. Remove one first, or make another group.',
  history:
    '`bad_request`: the cursor or revision is of another history of the log, or newer than the log: the data was restored or replaced. Begin anew without it, and fetch again what you keep.',
  host: '`forbidden`: the host application does not permit this text; its own word may come in `detail`. Change the text.',
  last_owner: '`conflict`: the group would have no owner. Make another member an owner first.',
  not_member: '`forbidden`: this user has left the group, or was removed. A member can add them again.',
  not_sender: '`forbidden`: only the sender of a message may do this.',
  not_taken:
    '`forbidden`, or beside a user who was not added: the other user does not accept this from this user, by a block or a preference. Do not repeat it.',
  owners_only: '`forbidden`: only owners of the group may do this. Ask one of them.',
  password_changed:
    '`forbidden`, and the reason of a close with 4401: the password was changed on another device. Sign in with the new one.',
  sign_in_again: '`forbidden`: this needs a token that was issued within the last 5 minutes. Sign in again.',
  sign_up_closed:
    '`forbidden`: with `SIGN_UP=closed`, users cannot sign themselves up. Ask those who run the server.',
  suspended:
    '`forbidden`, and the reason of a close with 4401: the user is suspended. Only a moderator, an operator or the host ends that.',
  too_late:
    '`forbidden`: the time in which a message can be edited or deleted (`EDIT_WINDOW`, `DELETE_WINDOW`) is over.',
  too_many: '`forbidden`: a maximum is reached, which the message names. Remove one first.',
  too_many_groups:
    '`forbidden`, or beside a user who was not added: this user is in 1,000 groups. They must leave one first.',
  url: '`bad_request`: Parley does not connect to this URL. Use `https` and a public address, or have `EGRESS_ALLOW` permit it.',
  wrong_password: '`forbidden`: the password beside the request is not that of this user.',
};
