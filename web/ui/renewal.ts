import type { Rest } from '@parley/client';
import { within } from './browser.js';
import { loadSession, type Session, saveSession, tokenOf } from './session.js';

/** Going on with a session of an issuer, whose tokens are short-lived. A session of Parley's own needs none of it. */

/** A token is renewed when it lasts less than this; the client asks for one a minute before the end. */
const RENEW_BEFORE_MS = 75_000;
const RENEWAL_WAIT_MS = 10_000;
/** After this time a session ends in this browser, whether or not the server has answered the sign-out. */
const SIGN_OUT_WAIT_MS = 5000;
/** A sign-out waits no longer for a renewal of an issuer that does not answer. */
const TURN_WAIT_MS = 3000;
const LOCK = 'parley.renewal';

/** The milliseconds that a token of an issuer still lasts; infinite of another one. */
function lastsMs(token: string): number {
  try {
    const payload = token.split('.')[1] ?? '';
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof exp === 'number' ? exp * 1000 - Date.now() : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Whether the token of a session has ended by itself. */
export const hasLapsed = (session: Session): boolean => lastsMs(tokenOf(session)) <= 0;

/** Runs one renewal at a time, over all tabs: an issuer takes a refresh token once. */
const inTurn = <T>(run: () => Promise<T>): Promise<T> =>
  // Over plain HTTP there are no locks, and no issuer.
  navigator.locks ? navigator.locks.request(LOCK, run) : run();

/** The token to use now, renewed if it ends soon. Never rejects: the server says whether the old one is still good. */
export async function freshToken(session: Session): Promise<string> {
  if (lastsMs(tokenOf(session)) > RENEW_BEFORE_MS) return tokenOf(session);
  try {
    await inTurn(() => renew(session));
  } catch (error) {
    console.error(error);
  }
  return tokenOf(session);
}

/**
 * Ends the session on the server, and forgets what renews it. Never rejects, and resolves after 5 s at the latest: if
 * the server cannot be reached, the session ends there when it expires.
 */
export const signOutOfServer = (rest: Rest, session: Session): Promise<void> =>
  within(SIGN_OUT_WAIT_MS, signOutInTurn(rest, session)).catch(() => {});

/** Signs out once no renewal is under way in any tab: its answer would bring the browser a new session. */
async function signOutInTurn(rest: Rest, session: Session): Promise<void> {
  let request: Promise<void> | undefined;
  const signOut = (): Promise<void> => {
    request ??= rest.signOut(tokenOf(session));
    return request;
  };
  // It is asked for below in any case, and rejects there.
  await navigator.locks
    ?.request(LOCK, { signal: AbortSignal.timeout(TURN_WAIT_MS) }, signOut)
    .catch(() => {});
  return signOut();
}

async function renew(session: Session): Promise<void> {
  const token = tokenOf(session);
  // Another tab was first.
  if (lastsMs(token) > RENEW_BEFORE_MS) return;
  const response = await fetch('/oidc/renew', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(RENEWAL_WAIT_MS),
  });
  if (!response.ok) return;
  // The server's answer, as its document says.
  const next = (await response.json()) as Session;
  // The user may have signed out meanwhile.
  if (loadSession()?.token === token) saveSession(next);
}
