import type { User } from '@parley/client';
import { hasTexts, onStoredChange, readJson, removeStored, storedKeys, writeText } from './browserStore.js';
import { forgetChats, usersWithDatabase } from './keptChats.js';

/** A sign-in stored in this browser. All tabs of the chat and of the audit console share it. */
export interface Session {
  readonly token: string;
  readonly user: User;
}

/**
 * The name of a second session in the same browser, from `?as=name`: one person can then try a conversation in two
 * windows. Empty without the parameter.
 */
export const profile = new URLSearchParams(location.search).get('as') ?? '';
const FIRST_KEY = 'parley.session';
const KEY = profile === '' ? FIRST_KEY : `${FIRST_KEY}.${profile}`;

/**
 * The stored session; `undefined` if there is none, or it is damaged. Whether it has expired the server says: the clock
 * of this device may be wrong.
 */
export function loadSession(): Session | undefined {
  const session = readJson(KEY);
  if (!isSession(session)) return undefined;
  return isEndedHere(session) ? undefined : session;
}

/** Whether this page was begun by the end of the session: a store that does not forget must not bring it back. */
function isEndedHere({ token }: Session): boolean {
  const state: unknown = history.state;
  return hasTexts(state, 'endedToken') && state.endedToken === token;
}

/** The token of now: another one than at the sign-in, once an issuer's session was renewed, by any tab. */
export function tokenOf({ token, user }: Session): string {
  const stored = loadSession();
  return stored?.user.userId === user.userId ? stored.token : token;
}

/** Why a session has ended, as far as its user should be told. */
const END_CAUSES = ['signedOut', 'suspended', 'password_changed', 'deleted', 'lapsed'] as const;
export type EndCause = (typeof END_CAUSES)[number];

/** Why the session ended that this page was begun by; undefined if it was not begun so. */
export function lastEndCause(): EndCause | undefined {
  const state: unknown = history.state;
  if (!hasTexts(state, 'endedToken', 'endCause')) return undefined;
  const { endCause } = state;
  return END_CAUSES.find((one) => one === endCause) ?? 'signedOut';
}

/** The server ends the connections of a deleted account too, and does not say why. */
let cause: EndCause = 'signedOut';

/** Says why the session of this page ends, before it does. */
export function noteEndCause(known: EndCause): void {
  cause = known;
}

function isSession(value: unknown): value is Session {
  if (!hasTexts(value, 'token') || !('user' in value)) return false;
  const { user } = value;
  if (!hasTexts(user, 'userId', 'backgroundColor', 'createdAt') || !('username' in user)) return false;
  return typeof user.username === 'string' || user.username === null;
}

/** Stores the server's answer to a sign-in and returns it as a session. */
export function saveSession({ token, user }: Session): Session {
  const session: Session = { token, user };
  writeText(KEY, JSON.stringify(session));
  return session;
}

/** Settles when all work that was passed to `finishBeforeEnd` has settled. */
let unfinished: Promise<unknown> = Promise.resolve();

/** Delays the end of a session until `work` has settled. Returns `work`. */
export function finishBeforeEnd<T>(work: Promise<T>): Promise<T> {
  unfinished = Promise.allSettled([unfinished, work]);
  return work;
}

/**
 * Removes the session and the kept chats of its user from this browser, and loads the page again without the part of its
 * address after `#`. Whatever the page has in memory of the user, in whichever module, ends with the page: the next user
 * may sit at the same window.
 */
export function endSession(session: Session): void {
  const token = tokenOf(session);
  // Another tab may have stored the session of another user already.
  if (loadSession()?.token === token) removeStored(KEY);
  void Promise.all([unfinished, forgetChats(session.user.userId)]).then(() => {
    history.replaceState({ endedToken: token, endCause: cause }, '', location.pathname + location.search);
    location.reload();
  });
}

/**
 * Forgets the chats of users who have no session in this browser: the page may have been closed at their sign-out before
 * it had deleted them. Never rejects.
 */
export async function forgetChatsOfOthers(): Promise<void> {
  const users = await usersWithDatabase();
  const sessions = storedKeys(FIRST_KEY).map(readJson).filter(isSession);
  const others = users.filter((userId) => !sessions.some(({ user }) => user.userId === userId));
  await Promise.all(others.map(forgetChats));
}

/**
 * Follows the sign-ins and sign-outs of other tabs. A page that shows one user's session ends it when that user is not
 * the one who is signed in any more. Returns a function that unsubscribes.
 */
export const onSessionChange = (
  shown: Session | undefined,
  listener: (session: Session | undefined) => void,
): (() => void) =>
  onStoredChange(KEY, () => {
    const session = loadSession();
    if (shown && session?.user.userId !== shown.user.userId) endSession(shown);
    else listener(session);
  });
