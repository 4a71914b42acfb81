import { createHmac } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { isOutage, notFound, overloaded, ParleyError, VaultUnavailable } from '../base/errors.js';
import { connectThread } from '../base/workerThreads.js';
import type { UserId } from '../domain/ids.js';
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

  /** Replaces the content of a claim. Returns false if there is none, or `change` gives none. */
  async function replaceSecret(
    id: string,
    change: (secret: ClaimSecret) => ClaimSecret | undefined,
  ): Promise<boolean> {
    for (let tries = 1; tries <= MAX_REPLACE_TRIES; tries++) {
      const row = await store.findClaim(id);
      if (row === undefined || row.sealed === null) return false;
      const { registered: _, ...secret } = openSecret(id, { ...row, sealed: row.sealed });
      const changed = change(secret);
      if (!changed) return false;
      if (await store.replaceClaim(id, row.sealed, sealSecret(id, changed))) return true;
    }
    throw overloaded('another request is changing the password; try again');
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
      const { registered: _, reset: __, ...secret } = openSecret(id, { ...row, sealed: row.sealed });
      if (secret.passwordHash !== oldHash) return false;
      // Each seal is a different string. So comparing the sealed text compares the hash and the rest of the
      // claim.
      return store.replaceClaim(id, row.sealed, sealSecret(id, { ...secret, passwordHash: newHash }));
    },
    setReset: (name, reset) => replaceSecret(idOf(name), (secret) => ({ ...secret, reset })),
    useReset: (name, codeHash, newHash, now) =>
      replaceSecret(idOf(name), ({ reset, ...secret }) =>
        reset?.codeHash === codeHash && now < new Date(reset.expiresAt)
          ? { ...secret, passwordHash: newHash }
          : undefined,
      ),
    erase: (name) => store.eraseClaim(idOf(name)),
  };
}

/** The user of this name. Throws `not_found` when there is none, or no more. */
export async function findUser(
  credentials: Pick<CredentialStore, 'find'>,
  username: string,
): Promise<UserId> {
  const found = await credentials.find(username);
  if (found === undefined || found === 'erased') throw notFound(`no user is called ${username}`);
  return found.userId;
}

/** Each try loses to another change of the same claim. */
const MAX_REPLACE_TRIES = 8;

/** Changes the hash of a claim, by somebody who knows the password. Sign-ins may renew the same hash meanwhile. */
export class PasswordHashes {
  constructor(
    private readonly credentials: CredentialStore,
    private readonly passwords: Passwords,
  ) {}

  /**
   * Hashes the password again if its stored hash has another cost than `BCRYPT_COST`, and stores the new hash. Returns
   * the credential with the hash that is stored then. A failure that may pass changes nothing: the next sign-in tries again.
   */
  async renew(credential: Credential, password: string): Promise<Credential> {
    const { username, passwordHash } = credential;
    if (passwordHash === undefined || !this.passwords.isOutdated(passwordHash)) return credential;
    try {
      const newHash = await this.passwords.hash(password);
      const isRenewed = await this.credentials.changePassword(username, passwordHash, newHash);
      return isRenewed ? { ...credential, passwordHash: newHash } : credential;
    } catch (error) {
      if (isOutage(error) || (error instanceof ParleyError && error.code === 'overloaded')) return credential;
      throw error;
    }
  }

  /** The hash of the claim now; undefined if it is of another password by now, or erased. */
  async current({ username, passwordHash }: Credential, password: string): Promise<string | undefined> {
    const now = await this.credentials.find(username);
    if (now === undefined || now === 'erased') return undefined;
    const isRight =
      now.passwordHash === passwordHash || (await this.passwords.verify(password, now.passwordHash));
    return isRight ? now.passwordHash : undefined;
  }

  /** Replaces the hash. Returns false if it is of another password by now. */
  async replace(credential: Credential, password: string, newHash: string): Promise<boolean> {
    const { username, passwordHash } = credential;
    if (await this.credentials.changePassword(username, passwordHash, newHash)) return true;
    const renewed = await this.current(credential, password);
    return renewed !== undefined && this.credentials.changePassword(username, renewed, newHash);
  }
}

/** Erasures in progress. As with claims, the rows show no user name. */
export function createErasureStore(store: VaultStore, { names }: Pick<MasterKeys, 'names'>): ErasureStore {
  return {
    async begin(userId, username, via) {
      const claim = claimIdOf(names, username);
      await store.insertErasure({ owner: userId, claim, via: via ?? null });
      return { userId, claim, ...(via === undefined ? {} : { via }) };
    },
    list: async () =>
      (await store.listErasures()).map(({ owner: userId, claim, via }) => ({
        ...{ userId, claim },
        ...(via === null ? {} : { via }),
      })),
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

/** A well-formed hash of no password. bcrypt takes as long for it as for a real one. */
const dummyHash = (cost: number): string => `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;

const costOf = (hash: string): number => Number(hash.split('$')[2]);

/**
 * The hashes to compare a password with, the right one first. Together they take the time of one at `cost`, which is at
 * least that of the hash: a step of the cost doubles the time, and 2^a + 2^a + 2^(a+1) + … + 2^(b-1) = 2^b.
 */
export function hashesToCompare(hash: string | undefined, cost: number): readonly string[] {
  if (hash === undefined) return [dummyHash(cost)];
  const hashes = [hash];
  for (let step = costOf(hash); step < cost; step++) hashes.push(dummyHash(step));
  return hashes;
}

/** Starts bcrypt in its own thread. */
export function openPasswords({ cost, pepper, maxQueued = 64 }: PasswordOptions): Passwords {
  const worker = new Worker(new URL('./passwordWorker.js', import.meta.url));
  const hashing = connectThread<PasswordHashing>(worker);
  // Raised by the first hash from before the cost was lowered: from then on all others take as long.
  let highestCost = cost;
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
        if (hash !== undefined) highestCost = Math.max(highestCost, costOf(hash));
        const matches = await hashing.compare(digest(password), hashesToCompare(hash, highestCost));
        return matches && hash !== undefined;
      }),
    isOutdated: (hash) => costOf(hash) !== cost,
    get waiting() {
      return waiting;
    },
    async close() {
      await worker.terminate();
    },
  };
}
