import { createHmac } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { overloaded } from '../errors.js';
import { connect } from '../threads/rpc.js';
import type { PasswordHashing } from './passwordWorker.js';
import type { DataKey, Passwords } from './vault.js';

export interface PasswordOptions {
  /** bcrypt's cost, 4 to 15: each step doubles the time. */
  readonly cost: number;
  /** Of the master key: without it a stolen hash cannot even be guessed at. */
  readonly pepper: DataKey;
  /** How many may wait, those being worked on included. */
  readonly queue?: number;
}

/** bcrypt in a thread of its own. */
export function openPasswords({ cost, pepper, queue = 64 }: PasswordOptions): Passwords {
  const worker = new Worker(new URL('./passwordWorker.js', import.meta.url));
  const hashing = connect<PasswordHashing>(worker);
  // A well-formed hash that no password has: bcrypt works on it as long as on any other.
  const nobody = `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
  let waiting = 0;
  let usualMs = 100;

  /**
   * bcrypt takes 72 bytes and stops at a zero byte: it is given 44 characters that stand for the whole
   * password. UTF-16, as UTF-8 has one code for all lone surrogates.
   */
  const whole = (password: string) =>
    createHmac('sha256', pepper).update(Buffer.from(password, 'utf16le')).digest('base64');

  async function queued<T>(work: () => Promise<T>): Promise<T> {
    if (waiting >= queue)
      throw overloaded('too many passwords wait to be checked', Math.max(1000, Math.ceil(waiting * usualMs)));
    const ahead = waiting++;
    const start = performance.now();
    try {
      return await work();
    } finally {
      waiting--;
      usualMs = (usualMs * 7 + (performance.now() - start) / (ahead + 1)) / 8;
    }
  }

  return {
    hash: (password) => queued(() => hashing.hash(whole(password), cost)),
    verify: (password, hash) =>
      queued(async () => {
        const matches = await hashing.compare(whole(password), hash ?? nobody);
        return matches && hash !== undefined;
      }),
    get waiting() {
      return waiting;
    },
    async close() {
      await worker.terminate();
    },
  };
}
