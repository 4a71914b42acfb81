import { afterTimeout, baseOf, deferred, type ServerUrl } from './options.js';
import { type After, type Chat, ClientError, type ErrorBody, type User } from './types.js';

/** The part of `fetch` that is used. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal: AbortSignal },
) => Promise<{ ok: boolean; status: number; text(): Promise<string> }>;

/** All have defaults. */
export interface RestOptions {
  /** Default: the global `fetch`. */
  readonly fetch?: Fetch;
  /** A request without a whole answer after this time rejects with `timeout`; default 30,000. `erase` has ten times as long. */
  readonly timeoutMs?: number;
  readonly after?: After;
}

export interface SignedIn {
  readonly token: string;
  readonly expiresAt: string;
  readonly user: User;
  readonly friends: readonly User[];
  /** The newest 50. */
  readonly activeChats: readonly Chat[];
}

/** A user; only one's own profile has `friends` and `activeChats`. */
export interface Profile {
  readonly user: User;
  readonly friends?: readonly User[];
  readonly activeChats?: readonly Chat[];
}

/** What to change of one's own profile; null removes. */
export interface ProfileChanges {
  /** 1–64 code points. */
  readonly displayName?: string | null;
  /** At most 500 code points. */
  readonly about?: string | null;
  /** At most 80 code points. */
  readonly status?: string | null;
  /** A language tag of BCP 47. Only the user's own devices see it. */
  readonly locale?: string | null;
}

export interface SearchOptions {
  /** 1–50, default 20. */
  readonly limit?: number;
  /** The answer includes the command that answered with this. */
  readonly revision?: string;
}

/** An erasure rewrites files of the server. */
const ERASURE_TIMES = 10;

interface Asked {
  readonly token?: string;
  readonly body?: object;
  /** How many times as long it may take. */
  readonly times?: number;
}

/** The REST part of the contract. Every method rejects with a `ClientError`, and after a time without an answer too. */
export class Rest {
  readonly #url: ServerUrl;
  readonly #options: Required<RestOptions>;

  /** @param url the server, without a path: `https://chat.example` */
  constructor(url: ServerUrl, options: RestOptions = {}) {
    this.#url = url;
    // Called as a function of nothing: browsers refuse a `fetch` of another object.
    const fetch: Fetch = (target, init) => globalThis.fetch(target, init);
    this.#options = { fetch, timeoutMs: 30_000, after: afterTimeout, ...options };
  }

  /** Rejects with `conflict` when the name is or was taken; `bad_request` names each wrong field. */
  async signUp(username: string, password: string): Promise<User> {
    const { user } = await this.#ask<{ user: User }>('POST', '/user/', { body: { username, password } });
    return user;
  }

  /** Rejects with `unauthenticated` for an unknown name and for a wrong password alike. */
  signIn(username: string, password: string): Promise<SignedIn> {
    return this.#ask('POST', '/user/signin', { body: { username, password } });
  }

  /** Ends this session and its sockets, all of the user's, or all `others`. */
  signOut(
    token: string,
    { everywhere = false }: { readonly everywhere?: boolean | 'others' } = {},
  ): Promise<void> {
    return this.#ask('POST', `/user/signout${everywhere ? `?everywhere=${everywhere}` : ''}`, { token });
  }

  /** Ends all other sessions. Rejects with `forbidden` when `password` is wrong. */
  changePassword(token: string, password: string, newPassword: string): Promise<void> {
    return this.#ask('PUT', '/user/password', { token, body: { password, newPassword } });
  }

  /**
   * Sets a new password with a code of an administrator, and ends all sessions of the user. Rejects with
   * `unauthenticated` for an unknown name and for a wrong code alike.
   */
  resetPassword(username: string, code: string, newPassword: string): Promise<void> {
    return this.#ask('POST', '/user/password-reset', { body: { username, code, newPassword } });
  }

  /** Changes the caller's own profile. Rejects with `bad_request`, which names each wrong field. */
  changeProfile(token: string, changes: ProfileChanges): Promise<{ user: User; revision: string }> {
    return this.#ask('PATCH', '/user/me', { token, body: changes });
  }

  /** Finds users by any part of their name, except the caller and the caller's friends. */
  async search(token: string, q: string, options: SearchOptions = {}): Promise<readonly User[]> {
    const query = queryOf({ q, ...options });
    const { users } = await this.#ask<{ users: User[] }>('GET', `/user/search${query}`, { token });
    return users;
  }

  /**
   * Rejects with `not_found` when no user has or had this id.
   * @param options.revision the answer includes the command that answered with this
   */
  user(token: string, userId: string, options: { readonly revision?: string } = {}): Promise<Profile> {
    return this.#ask('GET', `/user/${encodeURIComponent(userId)}${queryOf({ ...options })}`, { token });
  }

  /** Deletes the caller's account permanently: name, texts and all sessions. Rejects with `forbidden` for a wrong password. */
  erase(token: string, userId: string, password: string): Promise<void> {
    const asked = { token, body: { password }, times: ERASURE_TIMES };
    return this.#ask('DELETE', `/user/${encodeURIComponent(userId)}`, asked);
  }

  async #ask<T>(method: string, path: string, { token, body, times = 1 }: Asked): Promise<T> {
    const sent = {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    };
    const { ok, status, text } = await this.#exchange(path, sent, this.#options.timeoutMs * times);
    // The contract says what each path answers; 204 has no text, and its callers expect none. An error is RFC 9457 with the
    // contract's fields. Any other body is that of a proxy in between.
    let answer: (T & Partial<ErrorBody>) | undefined;
    try {
      answer = text === '' ? undefined : JSON.parse(text);
      if (ok) return answer as T;
    } catch (cause) {
      throw foreign(status, cause);
    }
    throw answer?.code ? new ClientError({ ...answer, code: answer.code }) : foreign(status);
  }

  /** Sends a request and reads the whole answer. Rejects with `disconnected`, and with `timeout` after `ms`. */
  #exchange(path: string, sent: Omit<Parameters<Fetch>[1], 'signal'>, ms: number) {
    const { fetch, after } = this.#options;
    const abort = new AbortController();
    const { promise: late, reject } = deferred<never>();
    const message = `no answer to ${sent.method} ${path}`;
    const cancel = after(ms, () => {
      reject(new ClientError({ code: 'timeout', message: `${message} in ${ms} ms` }));
      abort.abort();
    });
    const read = async () => {
      try {
        const response = await fetch(baseOf(this.#url) + path, { ...sent, signal: abort.signal });
        return { ok: response.ok, status: response.status, text: await response.text() };
      } catch (cause) {
        throw new ClientError({ code: 'disconnected', message }, { cause });
      }
    };
    return Promise.race([read(), late]).finally(cancel);
  }
}

/** Used as React Native's `URLSearchParams` cannot be written to. */
function queryOf(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${encodeURIComponent(value)}`,
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

const foreign = (status: number, cause?: unknown): ClientError =>
  new ClientError({ code: 'internal', message: `HTTP ${status}: is this a Parley server?` }, { cause });
