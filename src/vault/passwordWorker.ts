import { parentPort } from 'node:worker_threads';
import bcrypt from 'bcrypt';
import { lowerPriority, serveThread } from '../base/workerThreads.js';

if (!parentPort) throw new Error('run this file as a worker thread');

// A flood of sign-ins must not slow messages down.
lowerPriority(15);

// Synchronous on purpose: asynchronous bcrypt would occupy the thread pool that files and DNS need.
const hashing = {
  hash: (password: string, cost: number): string => bcrypt.hashSync(password, cost),
  /** Whether the password is that of the first hash. The others are compared for their time only. */
  compare: (password: string, hashes: readonly string[]): boolean =>
    hashes.map((hash) => bcrypt.compareSync(password, hash))[0] ?? false,
};

/** The functions this thread serves. */
export type PasswordHashing = typeof hashing;
serveThread(parentPort, hashing);
