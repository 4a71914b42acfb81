import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { z } from 'zod';
import { TOKEN_CHARACTERS } from '../domain/limits.js';
import type { FindKey, IssuerKeys } from './issuerKeys.js';

/** Tokens of the issuer: what is taken, and what is refused. */

/** Signatures alone that need the issuer's private key. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
/** A header that brings its key, or says where to find one, is refused. */
const KEY_HEADERS = ['jwk', 'jku', 'x5u', 'x5c'];
const LEEWAY_SECONDS = 60;
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const LOGOUT_TYPE = 'logout+jwt';
/** The most characters of a subject: OpenID Connect Core 1.0, section 2. */
const SUBJECT_CHARACTERS = 255;

const Subject = z.string().min(1).max(SUBJECT_CHARACTERS);
const SessionId = z.string().min(1).max(1024);

/** A text that is no text counts as absent. */
const Claims = z.object({
  sub: Subject,
  iat: z.number(),
  exp: z.number(),
  sid: SessionId.optional(),
  preferred_username: z.string().optional().catch(undefined),
  name: z.string().optional().catch(undefined),
  events: z.undefined().optional(),
});

/** What a verified token says. Times are in seconds since 1970. */
export interface TokenClaims {
  readonly subject: string;
  readonly issuedAt: number;
  /** The end by the token, with the leeway. */
  readonly endsAt: number;
  readonly sid: string | undefined;
  readonly username: string | undefined;
  readonly name: string | undefined;
}

const LogoutClaims = z
  .object({
    sub: Subject.optional(),
    sid: SessionId.optional(),
    iat: z.number(),
    events: z.object({ [LOGOUT_EVENT]: z.looseObject({}) }),
    nonce: z.undefined().optional(),
  })
  .refine(({ sub, sid }) => sub !== undefined || sid !== undefined);

/** What a verified logout token says. */
export interface LogoutClaims {
  readonly subject: string | undefined;
  readonly sid: string | undefined;
  readonly issuedAt: number;
}

/** Whether a token has the form of a JWT, which no token of Parley's own has. */
export const isJwt = (token: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);

export interface IssuerOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: Pick<IssuerKeys, 'find' | 'findUnknown'>;
}

export class Issuer {
  readonly #options: IssuerOptions;

  constructor(options: IssuerOptions) {
    this.#options = options;
  }

  /** What the token says; undefined if it is not good. Throws `overloaded` if the keys cannot be had. */
  async verify(token: string, now: Date): Promise<TokenClaims | undefined> {
    const payload = await this.#verify(token, now, (type) => type !== LOGOUT_TYPE);
    const { success, data } = Claims.safeParse(payload);
    if (!success || data.iat > secondsOf(now) + LEEWAY_SECONDS) return undefined;
    return {
      subject: data.sub,
      issuedAt: Math.floor(data.iat),
      endsAt: data.exp + LEEWAY_SECONDS,
      sid: data.sid,
      username: data.preferred_username,
      name: data.name,
    };
  }

  /** The same of a logout token (OpenID Connect Back-Channel Logout 1.0). */
  async verifyLogout(token: string, now: Date): Promise<LogoutClaims | undefined> {
    const payload = await this.#verify(token, now, () => true);
    const { success, data } = LogoutClaims.safeParse(payload);
    if (!success || data.iat > secondsOf(now) + LEEWAY_SECONDS) return undefined;
    return { subject: data.sub, sid: data.sid, issuedAt: Math.floor(data.iat) };
  }

  async #verify(
    token: string,
    now: Date,
    isType: (type: string | undefined) => boolean,
  ): Promise<JWTPayload | undefined> {
    if (token.length > TOKEN_CHARACTERS || !isJwt(token) || !hasGoodHeader(token, isType)) return undefined;
    const { issuer, audience, keys } = this.#options;
    const options = {
      ...{ issuer, audience, algorithms: ALGORITHMS, clockTolerance: LEEWAY_SECONDS },
      ...{ requiredClaims: ['iat', 'exp'], currentDate: now },
    };
    const found = await tryKeys(token, await keys.find(), options);
    if (found !== 'no key') return found;
    const newer = await keys.findUnknown();
    const again = newer === undefined ? undefined : await tryKeys(token, newer, options);
    return again === 'no key' ? undefined : again;
  }
}

const secondsOf = (date: Date): number => date.getTime() / 1000;

function hasGoodHeader(token: string, isType: (type: string | undefined) => boolean): boolean {
  try {
    const header = decodeProtectedHeader(token);
    const { alg = '', typ } = header;
    if (!ALGORITHMS.includes(alg) || KEY_HEADERS.some((name) => name in header)) return false;
    return isType(typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined);
  } catch {
    return false; // It is no JSON.
  }
}

/** The payload; undefined: the token is not good; `no key`: none of the keys can be the token's. */
async function tryKeys(
  token: string,
  findKey: FindKey,
  options: JWTVerifyOptions,
): Promise<JWTPayload | undefined | 'no key'> {
  try {
    return (await jwtVerify(token, findKey, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'no key';
    if (error instanceof errors.JWKSMultipleMatchingKeys) return tryEach(token, error, options);
    return undefined;
  }
}

/** Tries each key of a token that does not say which one it has. */
async function tryEach(
  token: string,
  keys: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<JWTPayload | undefined> {
  for await (const key of keys)
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch {
      // It is not of this key, or not good.
    }
  return undefined;
}
