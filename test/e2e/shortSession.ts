import { Rest } from '../../packages/client/src/rest.js';
import { eventually } from '../support/eventually.js';
import type { Place } from '../support/people.js';

/** Somebody who can sign in. */
interface Person {
  readonly username: string;
  readonly password: string;
}

/**
 * Signs in for a session of this length, and uses it. If it was over before it was used up to the end, as it may be on
 * a machine that stands still for a moment, tries again with another one.
 */
export async function inShortSession<T>(
  place: Place,
  { username, password }: Person,
  ttlMs: number,
  use: (token: string) => Promise<T>,
): Promise<{ readonly token: string; readonly used: T }> {
  let done: { readonly token: string; readonly used: T } | undefined;
  await eventually('a session is used before it ends', async () => {
    const before = Date.now();
    const { token, expiresAt } = await new Rest(place.url).signIn(username, password);
    const endsAt = Date.parse(expiresAt);
    if (endsAt < before + ttlMs || endsAt > Date.now() + ttlMs)
      throw new Error(`it ends at ${expiresAt}, and not ${ttlMs} ms after the sign-in`);
    try {
      done = { token, used: await use(token) };
    } catch (error) {
      if (Date.now() < endsAt) throw error;
    }
    return done !== undefined;
  });
  if (!done) throw new Error('a session was used');
  return done;
}
