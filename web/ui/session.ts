import type { SignedIn, User } from '../../src/client/index.js';

/** A sign-in as this browser keeps it: all its tabs and both pages share one. */
export interface Session {
  readonly token: string;
  readonly expiresAt: string;
  readonly user: User;
}

/**
 * `?as=something` is a second person in the same browser, with a session of their own: so that whoever tries
 * Parley can talk between two windows.
 */
export const persona = new URLSearchParams(location.search).get('as') ?? '';
const key = persona === '' ? 'parley.session' : `parley.session.${persona}`;

/** The session of this page's person; none when they have not signed in, or its time is over. */
export function loadSession(): Session | undefined {
  const text = localStorage.getItem(key);
  if (text === null) return undefined;
  const session = JSON.parse(text) as Session; // Only `saveSession` writes there.
  return Date.parse(session.expiresAt) > Date.now() ? session : undefined;
}

/** Keeps what a sign-in was answered with, and gives what was kept. */
export function saveSession({ token, expiresAt, user }: SignedIn): Session {
  const session: Session = { token, expiresAt, user };
  localStorage.setItem(key, JSON.stringify(session));
  return session;
}

/** Forgets the session in all tabs. */
export function clearSession(): void {
  localStorage.removeItem(key);
}

/** Calls `listener` when another tab signs in or out; what it returns stops that. */
export function onSessionChange(listener: (session: Session | undefined) => void): () => void {
  const heard = (event: StorageEvent): void => {
    if (event.key === key || event.key === null) listener(loadSession());
  };
  addEventListener('storage', heard);
  return () => removeEventListener('storage', heard);
}
