import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { z } from 'zod';
import { type Clock, systemClock } from '../base/clock.js';
import type { Egress } from '../base/egress.js';
import { messageOf, ParleyError } from '../base/errors.js';

/** The keys of an issuer, by discovery (OpenID Connect Discovery 1.0). */

/** Keys are used for this long after they were read. */
const KEEP_MS = 10 * 60_000;
/** After this time they are read again while the old ones are still used. */
const REFRESH_MS = 5 * 60_000;
/** The least time between two reads because of a key id that is not among the keys. */
const UNKNOWN_KEY_MS = 30_000;
/** After a failure, nothing is read for this time. */
const RETRY_MS = 1000;
const TIMEOUT_MS = 5000;
const MAX_BYTES = 256 * 1024;

const Discovery = z.object({
  issuer: z.string(),
  jwks_uri: z.url(),
  authorization_endpoint: z.url().optional(),
  token_endpoint: z.url().optional(),
  scopes_supported: z.array(z.string()).optional().catch(undefined),
});
const Keys = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

const Tokens = z.object({ id_token: z.string(), refresh_token: z.string().optional() });

/** What an issuer gives for a code. */
export interface IssuedTokens {
  readonly idToken: string;
  /** With it the next id token can be had; undefined where the issuer gives none. */
  readonly refreshToken: string | undefined;
}

/** What a page was given by the issuer, and what it has asked with. */
export interface CodeOfSignIn {
  readonly code: string;
  readonly codeVerifier: string;
  readonly redirectUri: string;
}

/** What an issuer says of itself. */
export type IssuerFacts = z.infer<typeof Discovery>;

/** A function that finds the key of a token, as `jwtVerify` takes it. */
export type FindKey = ReturnType<typeof createLocalJWKSet>;

interface Read {
  readonly facts: IssuerFacts;
  readonly findKey: FindKey;
  /** When the read began: monotonic milliseconds. */
  readonly at: number;
}

/** The keys cannot be had: nothing is known of any token. */
const unavailable = (cause: unknown): ParleyError =>
  new ParleyError(
    'overloaded',
    `the keys of the issuer cannot be read (${messageOf(cause)}): try again`,
    { retryAfterMs: RETRY_MS },
    { cause },
  );

export class IssuerKeys {
  readonly #issuer: string;
  readonly #egress: Pick<Egress, 'request'>;
  readonly #now: () => number;
  #read: Read | undefined;
  #reading: Promise<Read> | undefined;
  #failed: { readonly at: number; readonly cause: unknown } | undefined;
  #askedForUnknown = Number.NEGATIVE_INFINITY;

  constructor(issuer: string, egress: Pick<Egress, 'request'>, clock: Pick<Clock, 'now'> = systemClock) {
    this.#issuer = issuer;
    this.#egress = egress;
    this.#now = () => clock.now();
  }

  /** The present keys. Throws `overloaded` if they cannot be had. */
  async find(): Promise<FindKey> {
    return (await this.#current()).findKey;
  }

  /** What the issuer says of itself. Throws as `find`. */
  async facts(): Promise<IssuerFacts> {
    return (await this.#current()).facts;
  }

  /**
   * Exchanges the code of a sign-in for tokens (code flow with PKCE, of a client without a secret). Undefined: the
   * issuer refuses the code. Throws as `find`.
   */
  async exchange(
    clientId: string,
    { code, codeVerifier, redirectUri }: CodeOfSignIn,
  ): Promise<IssuedTokens | undefined> {
    return this.#grant({
      ...{ grant_type: 'authorization_code', client_id: clientId },
      ...{ code, code_verifier: codeVerifier, redirect_uri: redirectUri },
    });
  }

  /** The next tokens of a sign-in. Undefined: the issuer refuses, or gives no id token. Throws as `find`. */
  refresh(clientId: string, refreshToken: string): Promise<IssuedTokens | undefined> {
    return this.#grant({
      ...{ grant_type: 'refresh_token', client_id: clientId },
      refresh_token: refreshToken,
    });
  }

  async #grant(fields: Readonly<Record<string, string>>): Promise<IssuedTokens | undefined> {
    const { token_endpoint: url } = await this.facts();
    if (url === undefined) throw unavailable(new Error('the issuer has no token endpoint'));
    const form = new URLSearchParams(fields);
    try {
      const { status, body } = await this.#egress.request(url, {
        ...{ method: 'POST', timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, body: form.toString() },
        headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      });
      if (status >= 500) throw new Error(`${new URL(url).pathname} was answered with ${status}`);
      if (status !== 200) return undefined;
      const { success, data } = Tokens.safeParse(JSON.parse(body));
      if (success) return { idToken: data.id_token, refreshToken: data.refresh_token };
      // An issuer may renew without an id token, but begins with one.
      if (fields.grant_type === 'refresh_token') return undefined;
      throw new Error(`${new URL(url).pathname} gave no id token`);
    } catch (error) {
      throw unavailable(error);
    }
  }

  /**
   * The keys once more, because a token names one that is not among them. Undefined: they were read for such a token
   * within the last 30 s. Throws `overloaded` if they cannot be had.
   */
  async findUnknown(): Promise<FindKey | undefined> {
    const now = this.#now();
    if (now - this.#askedForUnknown < UNKNOWN_KEY_MS) {
      // Whether the key is there is not known, as the last read has failed.
      if (this.#failed) throw unavailable(this.#failed.cause);
      return undefined;
    }
    this.#askedForUnknown = now;
    return (await this.#begin()).findKey;
  }

  async #current(): Promise<Read> {
    const read = this.#read;
    const age = read ? this.#now() - read.at : Number.POSITIVE_INFINITY;
    if (read && age < REFRESH_MS) return read;
    const mayRead = !this.#failed || this.#now() - this.#failed.at >= RETRY_MS;
    if (read && age < KEEP_MS) {
      // The old keys are good meanwhile, so that its failure matters to nobody.
      if (mayRead) this.#begin().catch(() => undefined);
      return read;
    }
    if (!mayRead && this.#failed) throw unavailable(this.#failed.cause);
    return this.#begin();
  }

  /** Reads them; one read at a time. */
  #begin(): Promise<Read> {
    this.#reading ??= this.#readAll()
      .then(
        (read) => {
          this.#read = read;
          this.#failed = undefined;
          return read;
        },
        (cause: unknown) => {
          this.#failed = { at: this.#now(), cause };
          throw unavailable(cause);
        },
      )
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  async #readAll(): Promise<Read> {
    const at = this.#now();
    const base = this.#issuer.replace(/\/$/, '');
    const facts = Discovery.parse(await this.#readJson(`${base}/.well-known/openid-configuration`));
    if (facts.issuer !== this.#issuer)
      throw new Error(`the issuer calls itself ${JSON.stringify(facts.issuer.slice(0, 200))}`);
    const keys = Keys.parse(await this.#readJson(facts.jwks_uri));
    // The schema has checked what jose asks of a key set.
    return { facts, findKey: createLocalJWKSet(keys as JSONWebKeySet), at };
  }

  async #readJson(url: string): Promise<unknown> {
    const { status, body } = await this.#egress.request(url, {
      ...{ method: 'GET', timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES },
      headers: { accept: 'application/json' },
    });
    if (status !== 200) throw new Error(`${new URL(url).pathname} was answered with ${status}`);
    return JSON.parse(body);
  }
}
