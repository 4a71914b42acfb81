import { setPriority } from 'node:os';

/**
 * Lets the threads that answer people go first when cores are scarce: on Linux a niceness, 0 to 19, is a thread's
 * own. Elsewhere it would be the whole process's, so nothing is changed there.
 */
export function standAside(niceness: number): void {
  if (process.platform === 'linux') setPriority(0, niceness);
}
