import { createHmac } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { overloaded, VaultUnavailable } from '../base/errors.js';
import { connectThread } from '../base/workerThreads.js';
import { open, seal } from './dataKeys.js';
import type { MasterKeys } from './masterKey.js';
import type { PasswordHashing } from './passwordWorker.js';
import type { Credential, CredentialStore, DataKey, ErasureStore, Passwords } from './vault.js';
import type { ClaimRow, VaultStore } from './vaultStore.js';

type ClaimSecret = Omit<Credential, 'registered'>;

// User names are ASCII, so that lower case is the whole normalisation.
const claimIdOf = (names: Buffer, name: string): string =>
  createHmac('sha256', names).update(name.toLowerCase()).digest('hex');

/**
 * Claims to user names. A row shows no name: its id is an HMAC, and its content is sealed and bound to the
 * id.
 */
export function createCredentialStore(
  store: VaultStore,
  { names, claims }: Pick<MasterKeys, 'names' | 'claims'>,
): CredentialStore {
  const idOf = (name: string) => claimIdOf(names, name);
  const sealSecret = (id: string, secret: ClaimSecret) => seal(claims, JSON.stringify(secret), id);

  function openSecret(id: string, row: ClaimRow & { sealed: string }): Credential {
    try {
      // Only `sealSecret` can have made a text that opens here.
      const secret = JSON.parse(open(claims, row.sealed, id)) as ClaimSecret;
      return { ...secret, registered: row.registered };
    } catch (cause) {
      throw new VaultUnavailable(`claim ${id} does not open with this master key`, { cause });
    }
  }

  return {
    idOf,
    claim(name, { registered: _, ...secret }) {
      const id = idOf(name);
      return store.insertClaim(id, sealSecret(id, secret));
    },
    async find(name) {
      const id = idOf(name);
      const row = await store.findClaim(id);
      if (row === undefined) return undefined;
      return row.sealed === null ? 'erased' : openSecret(id, { ...row, sealed: row.sealed });
    },
    markRegistered: (name) => store.markRegistered(idOf(name)),
    async changePassword(name, oldHash, newHash) {
      const id = idOf(name);
      const row = await store.findClaim(id);
      if (row === undefined || row.sealed === null) return false;
      const { registered: _, ...secret } = openSecret(id, { ...row, sealed: row.sealed });
      if (secret.passwordHash !== oldHash) return false;
      // Each seal is a different string. So comparing the sealed text compares the hash and the rest of the
      // claim.
      return store.replaceClaim(id, row.sealed, sealSecret(id, { ...secret, passwordHash: newHash }));
    },
    erase: (name) => store.eraseClaim(idOf(name)),
  };
}

/** Erasures in progress. As with claims, the rows show no user name. */
export function createErasureStore(store: VaultStore, { names }: Pick<MasterKeys, 'names'>): ErasureStore {
  return {
    async begin(userId, username) {
      const claim = claimIdOf(names, username);
      await store.insertErasure({ owner: userId, claim });
      return { userId, claim };
    },
    list: async () => (await store.listErasures()).map(({ owner: userId, claim }) => ({ userId, claim })),
    eraseClaim: ({ claim }) => store.eraseClaim(claim),
    end: (userId) => store.removeErasure(userId),
  };
}

export interface PasswordOptions {
  /** bcrypt's cost, 4 to 15. Each step doubles the time. */
  readonly cost: number;
  /** Derived from the master key. Without it, nobody can test guesses against a stolen hash. */
  readonly pepper: DataKey;
  /** The limit of hashings waiting or running; default 64. */
  readonly maxQueued?: number;
}

/** Starts bcrypt in its own thread. */
export function openPasswords({ cost, pepper, maxQueued = 64 }: PasswordOptions): Passwords {
  const worker = new Worker(new URL('./passwordWorker.js', import.meta.url));
  const hashing = connectThread<PasswordHashing>(worker);
  // A well-formed hash of no password. bcrypt takes as long for it as for a real one.
  const dummyHash = `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
  let waiting = 0;
  let averageMs = 100;

  /**
   * Turns a password of any length into 44 characters: bcrypt reads 72 bytes and stops at a zero byte.
   * Encodes as UTF-16, because UTF-8 has one code for all lone surrogates.
   */
  const digest = (password: string) =>
    createHmac('sha256', pepper).update(Buffer.from(password, 'utf16le')).digest('base64');

  async function enqueue<T>(work: () => Promise<T>): Promise<T> {
    if (waiting >= maxQueued)
      throw overloaded(
        'too many passwords are waiting to be checked',
        Math.max(1000, Math.ceil(waiting * averageMs)),
      );
    const ahead = waiting++;
    const start = performance.now();
    try {
      return await work();
    } finally {
      waiting--;
      averageMs = (averageMs * 7 + (performance.now() - start) / (ahead + 1)) / 8;
    }
  }

  return {
    hash: (password) => enqueue(() => hashing.hash(digest(password), cost)),
    verify: (password, hash) =>
      enqueue(async () => {
        const matches = await hashing.compare(digest(password), hash ?? dummyHash);
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
