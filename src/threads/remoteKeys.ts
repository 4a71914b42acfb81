import { VaultUnavailable } from '../errors.js';
import type { UserId } from '../events/ids.js';
import { Expiring } from '../vault/expiring.js';
import type { DataKey } from '../vault/vault.js';
import type { Keys, ToWriters } from './wire.js';

/** As in the vault's own cache: no memory holds a destroyed key after 60 s. */
const CACHED_MS = 55_000;
const MAX_KEYS = 50_000;

type Reply = Extract<ToWriters, { request: number }>;

/** Data keys for a thread that has no vault: asked of the thread that has it, and kept for less than a minute. */
export class RemoteKeys {
  readonly #ask: (owners: readonly UserId[], request: number) => void;
  readonly #cache = new Expiring<DataKey | 'destroyed'>({ ttlMs: CACHED_MS, maxEntries: MAX_KEYS });
  readonly #open = new Map<
    number,
    { resolve: (keys: Keys) => void; reject: (error: Error) => void; asOf: number }
  >();
  #next = 0;

  constructor(ask: (owners: readonly UserId[], request: number) => void) {
    this.#ask = ask;
  }

  /** As `KeyStore.keys`. */
  async keys(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>> {
    const found = new Map<UserId, DataKey | 'destroyed'>();
    const absent: UserId[] = [];
    for (const owner of owners) {
      const key = this.#cache.get(owner);
      if (key === undefined) absent.push(owner);
      else found.set(owner, key);
    }
    if (absent.length > 0) for (const [owner, key] of await this.#fetch(absent)) found.set(owner, key);
    return found;
  }

  receive(reply: Reply): void {
    const waiting = this.#open.get(reply.request);
    this.#open.delete(reply.request);
    if ('keysFailed' in reply) return waiting?.reject(new VaultUnavailable(reply.keysFailed));
    const keys = new Map<UserId, DataKey | 'destroyed'>();
    for (const [owner, bytes] of reply.keys) {
      // Buffers arrive from another thread as plain byte arrays.
      const key =
        bytes === 'destroyed' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      keys.set(owner, key);
      this.#cache.set(owner, key, waiting?.asOf);
    }
    waiting?.resolve(keys);
  }

  /** For one whose key was destroyed: later replies say so. */
  forget(owner: UserId): void {
    this.#cache.delete(owner);
  }

  close(): void {
    this.#cache.close();
  }

  #fetch(owners: readonly UserId[]): Promise<Keys> {
    return new Promise((resolve, reject) => {
      const request = this.#next++;
      this.#open.set(request, { resolve, reject, asOf: performance.now() });
      this.#ask(owners, request);
    });
  }
}
