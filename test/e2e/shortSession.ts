import { Rest } from '../../packages/client/src/rest.js';
import { untilFound } from '../support/eventually.js';
import type { Person, Place } from '../support/people.js';

/**
 * Signs in for a session of this length, and uses it. If it was over before it was used up to the end, as it may be on
 * a machine that stands still for a moment, tries again with another one.
 */
export async function inShortSession<T>(
  place: Place,
  { username, password }: Pick<Person, 'username' | 'password'>,
  ttlMs: number,
  use: (token: string) => Promise<T>,
): Promise<{ readonly token: string; readonly used: T }> {
  return untilFound('a session is used before it ends', async () => {
    const before = Date.now();
    const { token, expiresAt } = await new Rest(place.url).signIn(username, password);
    const endsAt = Date.parse(expiresAt);
    if (endsAt < before + ttlMs || endsAt > Date.now() + ttlMs)
      throw new Error(`it ends at ${expiresAt}, and not ${ttlMs} ms after the sign-in`);
    try {
      return { token, used: await use(token) };
    } catch (error) {
      if (Date.now() < endsAt) throw error;
      return undefined;
    }
  });
}
