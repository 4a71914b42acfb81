import type { User } from '../../src/client/index.js';

/** The user's name; a user whose account was erased has none. */
export const displayName = (user: User): string => user.username ?? 'Deleted user';
