import { createCipheriv, createDecipheriv, randomBytes, randomFillSync } from 'node:crypto';
import { ExpiringCache } from '../base/collections.js';
import { VaultUnavailable } from '../base/errors.js';
import type { Sealed } from '../domain/fields.js';
import type { UserId } from '../domain/ids.js';
import { type CachedKeys, type DataKey, KeyDestroyed, SECRET_TTL_MS } from './vault.js';
import type { KeyRow, VaultStore } from './vaultStore.js';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The sealed text does not open: wrong key, wrong context, or altered. A retry does not help. */
export class CipherError extends Error {
  override readonly name = 'CipherError';
}

// Fetches random bytes for many nonces at once: a system call per nonce costs more than sealing. No byte is
// used twice.
const noncePool = Buffer.alloc(Math.floor(8192 / NONCE_BYTES) * NONCE_BYTES);
let usedNonceBytes = noncePool.length;

function nextNonce(): Buffer {
  if (usedNonceBytes === noncePool.length) {
    randomFillSync(noncePool);
    usedNonceBytes = 0;
  }
  usedNonceBytes += NONCE_BYTES;
  return noncePool.subarray(usedNonceBytes - NONCE_BYTES, usedNonceBytes);
}

/**
 * Seals text with AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce, so that equal texts give
 * different strings. The result opens only with the same key and context.
 */
export function seal(key: DataKey, text: string, context: string): Sealed {
  const nonce = nextNonce();
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  cipher.setAAD(Buffer.from(context));
  const body = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64');
}

/** Opens the result of `seal`. Throws `CipherError` for anything else. */
export function open(key: DataKey, sealed: Sealed, context: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new CipherError('the sealed text is too short');
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(end));
  // Decodes once, after the tag is verified: decoding the two parts apart takes longer.
  const body = decipher.update(bytes.subarray(NONCE_BYTES, end));
  try {
    decipher.final();
  } catch (cause) {
    throw new CipherError('the sealed text does not open with this key and context', { cause });
  }
  return body.toString();
}

const MAX_KEYS = 50_000;
/** The least remaining time of a key that `getKeys` returns from the cache. */
const MIN_TTL_LEFT_MS = 5_000;

/** Data keys, each wrapped by the master's wrapping key and bound to its owner. */
export function createKeyStore(store: VaultStore, wrapping: DataKey): CachedKeys & { close(): void } {
  const cache = new ExpiringCache<DataKey | 'destroyed'>({ ttlMs: SECRET_TTL_MS, maxEntries: MAX_KEYS });

  function unwrap({ owner, wrapped }: KeyRow): DataKey | 'destroyed' {
    if (wrapped === null) return 'destroyed';
    try {
      return Buffer.from(open(wrapping, wrapped, owner), 'base64');
    } catch (cause) {
      throw new VaultUnavailable(`the key of user ${owner} does not open with this master key`, { cause });
    }
  }

  /** Caches a key, but never over `destroyed`: a read that began before the destruction may end after it. */
  function remember(owner: UserId, key: DataKey | 'destroyed', asOf: number): DataKey | 'destroyed' {
    if (cache.get(owner) === 'destroyed') return 'destroyed';
    cache.set(owner, key, asOf);
    return key;
  }

  async function load(owners: readonly UserId[], into: Map<UserId, DataKey | 'destroyed'>): Promise<void> {
    const asOf = performance.now();
    for (const row of await store.findKeys(owners)) {
      into.set(row.owner, remember(row.owner, unwrap(row), asOf));
    }
    const missing = owners.find((owner) => !into.has(owner));
    if (missing !== undefined)
      throw new VaultUnavailable(`the vault has neither a key nor a tombstone of user ${missing}`);
  }

  async function getKeys(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>> {
    const found = new Map<UserId, DataKey | 'destroyed'>();
    const uncached = new Set<UserId>();
    for (const owner of owners) {
      const key = cache.get(owner, MIN_TTL_LEFT_MS);
      if (key === undefined) uncached.add(owner);
      else found.set(owner, key);
    }
    if (uncached.size > 0) await load([...uncached], found);
    return found;
  }

  async function getKey(owner: UserId): Promise<DataKey | 'destroyed'> {
    const found = (await getKeys([owner])).get(owner);
    if (found === undefined) throw new VaultUnavailable(`the vault returned no key of user ${owner}`);
    return found;
  }

  return {
    getKeys,
    getKey,
    getCached: (owner) => cache.get(owner),
    async fetchKeys(owners) {
      const found = new Map<UserId, DataKey | 'destroyed'>();
      await load([...new Set(owners)], found);
      return found;
    },
    async create(owner) {
      const made = randomBytes(32);
      await store.insertKey(owner, seal(wrapping, made.toString('base64'), owner));
      // Reads it back: the stored row may be older than this call.
      if ((await getKey(owner)) === 'destroyed')
        throw new KeyDestroyed(`the key of user ${owner} was destroyed`);
    },
    async destroy(owner) {
      await store.destroyKey(owner);
      cache.set(owner, 'destroyed');
    },
    close: () => cache.close(),
  };
}
