import { createCipheriv, createDecipheriv, createHmac, randomBytes, randomFillSync } from 'node:crypto';
import { ExpiringCache } from '../base/collections.js';
import { VaultUnavailable } from '../base/errors.js';
import type { Sealed } from '../domain/fields.js';
import type { UserId } from '../domain/ids.js';
import type { KeyRow, KeyTable } from './vaultStore.js';

/** A 32-byte key of AES-256-GCM: a person's own, which seals their names, or the key of one text. */
export type DataKey = Buffer;

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NO_BYTES = Buffer.alloc(0);

/** The sealed text does not open: wrong key, wrong context, or altered. A retry does not help. */
export class CipherError extends Error {
  override readonly name = 'CipherError';
}

// Fetches random bytes for many nonces at once: a system call per nonce costs more than sealing. No byte is
// used twice.
const noncePool = Buffer.alloc(Math.floor(8192 / NONCE_BYTES) * NONCE_BYTES);
let usedNonceBytes = noncePool.length;

/**
 * Seals text with AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce, so that equal texts give
 * different strings. The result opens only with the same key and context.
 */
export function seal(key: DataKey, text: string, context: string): Sealed {
  return sealBytes(key, text, context).toString('base64');
}

/** As `seal`, behind `head`, which is not protected. */
export function sealBytes(key: DataKey, text: string, context: string, head: Buffer = NO_BYTES): Buffer {
  if (usedNonceBytes === noncePool.length) {
    randomFillSync(noncePool);
    usedNonceBytes = 0;
  }
  const nonce = noncePool.subarray(usedNonceBytes, usedNonceBytes + NONCE_BYTES);
  usedNonceBytes += NONCE_BYTES;
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  cipher.setAAD(Buffer.from(context));
  const body = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([head, nonce, body, cipher.getAuthTag()]);
}

/** Opens the result of `seal`. Throws `CipherError` for anything else. */
export function open(key: DataKey, sealed: Sealed, context: string): string {
  return openBytes(key, Buffer.from(sealed, 'base64'), context);
}

/** Opens the result of `sealBytes`, without its head. Throws `CipherError` for anything else. */
export function openBytes(key: DataKey, bytes: Buffer, context: string): string {
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new CipherError('the sealed text is too short');
  return decrypt(key, bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES), context).toString();
}

function decrypt(key: DataKey, nonce: Uint8Array, bytes: Uint8Array, context: string): Buffer {
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(end));
  // Decodes once, after the tag is verified: decoding the two parts apart takes longer.
  const body = decipher.update(bytes.subarray(0, end));
  try {
    decipher.final();
  } catch (cause) {
    throw new CipherError('the sealed text does not open with this key and context', { cause });
  }
  return body;
}

/** A sealed row begins with this many random bytes. Without them it does not open. */
export const ROW_SALT_BYTES = 32;

const ZERO_NONCE = Buffer.alloc(NONCE_BYTES);
const rowKeyOf = (key: DataKey, salt: Uint8Array): DataKey =>
  createHmac('sha256', key).update('parley/row').update(salt).digest();

/**
 * Seals a row of the vault with a key of its own, made of `key` and the 32 random bytes that it begins with. Where these
 * bytes are overwritten, whatever else is left of the row opens with nothing.
 */
export function sealRow(key: DataKey, row: Uint8Array, context: string): Buffer {
  const salt = randomBytes(ROW_SALT_BYTES);
  // The key is used once, so that the nonce may be constant.
  const cipher = createCipheriv(ALGORITHM, rowKeyOf(key, salt), ZERO_NONCE);
  cipher.setAAD(Buffer.from(context));
  const body = cipher.update(row);
  cipher.final();
  return Buffer.concat([salt, body, cipher.getAuthTag()]);
}

/** Opens the result of `sealRow`. Throws `VaultUnavailable` for anything else. */
export function openRow(key: DataKey, sealed: Uint8Array, context: string): Buffer {
  try {
    if (sealed.length < ROW_SALT_BYTES + TAG_BYTES) throw new CipherError('the row is too short');
    const salt = sealed.subarray(0, ROW_SALT_BYTES);
    return decrypt(rowKeyOf(key, salt), ZERO_NONCE, sealed.subarray(ROW_SALT_BYTES), context);
  } catch (cause) {
    throw new VaultUnavailable(`the ${context} does not open with this master key`, { cause });
  }
}

/** The most keys of users, and the most rooms, that are cached. */
const MAX_KEYS = 50_000;
/** The least remaining time of a key that `getKeys` or `getRoomKeys` returns from the cache. */
export const MIN_TTL_LEFT_MS = 5_000;

const contextOfKey = (owner: UserId): string => `key of user ${owner}`;

/** People's own keys, each wrapped by the master's wrapping key and bound to its owner. */
export class OwnKeys {
  readonly #store: KeyTable;
  readonly #wrapping: DataKey;
  /** By owner: see `CachedKeys.getCached`. */
  readonly cache: ExpiringCache<DataKey | 'destroyed'>;

  constructor(store: KeyTable, wrapping: DataKey, ttlMs: number) {
    this.#store = store;
    this.#wrapping = wrapping;
    this.cache = new ExpiringCache({ ttlMs, maxEntries: MAX_KEYS });
  }

  /** Makes a key, wrapped for its row. */
  make(owner: UserId): Buffer {
    return sealRow(this.#wrapping, randomBytes(32), contextOfKey(owner));
  }

  /** Opens the key of a row. */
  unwrap({ owner, own }: KeyRow): DataKey | 'destroyed' {
    return own === null ? 'destroyed' : openRow(this.#wrapping, own, contextOfKey(owner));
  }

  /** Caches a key, but never over `destroyed`: a read that began before the destruction may end after it. */
  remember(owner: UserId, key: DataKey | 'destroyed', asOf: number): DataKey | 'destroyed' {
    if (this.cache.get(owner) === 'destroyed') return 'destroyed';
    this.cache.set(owner, key, asOf);
    return key;
  }

  /** See `KeyStore.getKeys`. */
  async getAll(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>> {
    const found = new Map<UserId, DataKey | 'destroyed'>();
    const uncached = new Set<UserId>();
    for (const owner of owners) {
      const key = this.cache.get(owner, MIN_TTL_LEFT_MS);
      if (key === undefined) uncached.add(owner);
      else found.set(owner, key);
    }
    if (uncached.size > 0) await this.#load([...uncached], found);
    return found;
  }

  /** See `CachedKeys.fetchKeys`. */
  async fetchAll(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>> {
    const found = new Map<UserId, DataKey | 'destroyed'>();
    await this.#load([...new Set(owners)], found);
    return found;
  }

  async #load(owners: readonly UserId[], into: Map<UserId, DataKey | 'destroyed'>): Promise<void> {
    const asOf = performance.now();
    for (const row of await this.#store.findKeys(owners)) {
      into.set(row.owner, this.remember(row.owner, this.unwrap(row), asOf));
    }
    const missing = owners.find((owner) => !into.has(owner));
    if (missing !== undefined) throw missingKey(missing);
  }

  /** See `KeyStore.getKey`. */
  async get(owner: UserId): Promise<DataKey | 'destroyed'> {
    const found = (await this.getAll([owner])).get(owner);
    if (found === undefined) throw missingKey(owner);
    return found;
  }

  /** See `KeyStore.destroy`. */
  async destroy(owner: UserId): Promise<void> {
    await this.#store.destroyKey(owner);
    this.cache.set(owner, 'destroyed');
  }

  close(): void {
    this.cache.close();
  }
}

/** The vault answers, and has no row of an owner. */
export class KeyMissing extends VaultUnavailable {}

/** An owner without a row is an outage, because each user gets one at the sign-up. */
export const missingKey = (owner: UserId): KeyMissing =>
  new KeyMissing(`the vault has neither a key nor a tombstone of user ${owner}`);
