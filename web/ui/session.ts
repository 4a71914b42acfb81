import type { SignedIn, User } from '../../src/client/index.js';
import { onStorageChange } from './browser.js';

/** A sign-in stored in this browser. All tabs of the chat and of the audit console share it. */
export interface Session {
  readonly token: string;
  readonly expiresAt: string;
  readonly user: User;
}

/**
 * The name of a second session in the same browser, from `?as=name`: one person can then try a conversation in two
 * windows. Empty without the parameter.
 */
export const profile = new URLSearchParams(location.search).get('as') ?? '';
const KEY = profile === '' ? 'parley.session' : `parley.session.${profile}`;

/** The stored session; `undefined` if there is none or it has expired. */
export function loadSession(): Session | undefined {
  const text = localStorage.getItem(KEY);
  if (text === null) return undefined;
  const session = JSON.parse(text) as Session; // Only `saveSession` writes this key.
  return Date.parse(session.expiresAt) > Date.now() ? session : undefined;
}

/** Stores the server's answer to a sign-in and returns it as a session. */
export function saveSession({ token, expiresAt, user }: SignedIn): Session {
  const session: Session = { token, expiresAt, user };
  localStorage.setItem(KEY, JSON.stringify(session));
  return session;
}

/** Removes the stored session, for all tabs. */
export function clearSession(): void {
  localStorage.removeItem(KEY);
}

/** Calls `listener` when another tab signs in or out. Returns a function that unsubscribes. */
export const onSessionChange = (listener: (session: Session | undefined) => void): (() => void) =>
  onStorageChange(KEY, () => listener(loadSession()));
