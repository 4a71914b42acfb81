import { within } from './browser.js';
import { databaseNames } from './browserStore.js';

/** The database of each user in this browser: the chats that are kept for the next opening, and what is unsent. */

const PREFIX = 'parley-';

export const databaseOf = (userId: string): string => PREFIX + userId;

/** A browser may take its time to open, read or delete a database, or never answer. */
export const DATABASE_WAIT_MS = 3000;

/** Deletes the chats that are kept of this user, and not what is unsent. Never rejects. */
export async function forgetChats(userId: string): Promise<void> {
  // The form needs none of it, and the chats have loaded it.
  const deleted = import('@parley/client/browser').then(({ deleteKeptState }) =>
    deleteKeptState(databaseOf(userId)),
  );
  await within(DATABASE_WAIT_MS, deleted).catch(console.error);
}

/** The ids of the users who have a database here. Never rejects: some browsers do not tell. */
export async function usersWithDatabase(): Promise<readonly string[]> {
  const names = await within(DATABASE_WAIT_MS, databaseNames()).catch(() => []);
  return names.flatMap((name) => (name.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : []));
}
