import { type Chat, ClientError, type ErrorBody, type User } from './types.js';

/** The part of `fetch` that is used. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string },
) => Promise<{ ok: boolean; status: number; text(): Promise<string> }>;

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

export interface SearchOptions {
  /** 1–50, default 20. */
  readonly limit?: number;
  /** The answer includes the command that answered with this. */
  readonly revision?: string;
}

/** The REST part of the contract. Every method rejects with a `ClientError`. */
export class Rest {
  /** @param url the server, without a path: `https://chat.example` */
  constructor(
    private readonly url: string,
    private readonly fetch: Fetch = (url, init) => globalThis.fetch(url, init),
  ) {}

  /** Rejects with `conflict` when the name is or was taken; `bad_request` names each wrong field. */
  async signUp(username: string, password: string): Promise<User> {
    const { user } = await this.#ask<{ user: User }>('POST', '/user/', { body: { username, password } });
    return user;
  }

  /** Rejects with `unauthenticated` for an unknown name and for a wrong password alike. */
  signIn(username: string, password: string): Promise<SignedIn> {
    return this.#ask('POST', '/user/signin', { body: { username, password } });
  }

  /** Ends this session and its sockets, or all of the user's. */
  signOut(token: string, { everywhere = false } = {}): Promise<void> {
    return this.#ask('POST', `/user/signout${everywhere ? '?everywhere=true' : ''}`, { token });
  }

  /** Ends all other sessions. Rejects with `forbidden` when `password` is wrong. */
  changePassword(token: string, password: string, newPassword: string): Promise<void> {
    return this.#ask('PUT', '/user/password', { token, body: { password, newPassword } });
  }

  /** Finds users by any part of their name, except the caller and the caller's friends. */
  async search(token: string, q: string, options: SearchOptions = {}): Promise<readonly User[]> {
    const query = queryOf({ q, limit: options.limit, revision: options.revision });
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
    return this.#ask('DELETE', `/user/${encodeURIComponent(userId)}`, { token, body: { password } });
  }

  async #ask<T>(
    method: string,
    path: string,
    { token, body }: { token?: string; body?: object },
  ): Promise<T> {
    const headers: Record<string, string> = {};
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await this.fetch(this.url + path, init).catch((cause: unknown) => {
      throw new ClientError({ code: 'disconnected', message: `no answer to ${method} ${path}` }, { cause });
    });
    const text = await response.text();
    if (!response.ok) throw problem(response.status, text);
    // The contract says what each path answers; 204 has no text, and its callers expect none.
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}

/** Used as React Native's `URLSearchParams` cannot be written to. */
function queryOf(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function problem(status: number, text: string): ClientError {
  try {
    // RFC 9457 with the contract's fields; any other body is that of a proxy in between.
    const body = JSON.parse(text) as Partial<ErrorBody>;
    if (body.code) return new ClientError({ ...body, code: body.code });
  } catch {
    // Not JSON: reported below.
  }
  return new ClientError({
    code: 'internal',
    message: `HTTP ${status} without a problem document: is the URL that of a Parley server?`,
  });
}
