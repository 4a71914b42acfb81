import type { User } from '../../src/client/index.js';

/** What somebody is called; who has been erased has no name any more. */
export const nameOf = (user: User): string => user.username ?? 'Erased user';
