import { hkdfSync, randomBytes } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../base/files.js';
import type { DataKey } from './vault.js';
import type { VaultStore } from './vaultStore.js';

const KEY_BYTES = 32;

/** The file of the master key, unless the setting `MASTER_KEY` has it. */
export const masterKeyFileOf = (dataDir: string): string => join(dataDir, 'master.key');

/** The master key is damaged, or differs from the one of this vault. `message` says what to do. */
export class MasterKeyError extends Error {
  override readonly name = 'MasterKeyError';
}

/** Keys derived from the master key, one per purpose. None reveals anything about another. */
export interface MasterKeys {
  /** Wraps data keys. */
  readonly wrapping: DataKey;
  /** HMAC key of normalised user names. */
  readonly names: DataKey;
  /** Seals the content of claims to user names. */
  readonly claims: DataKey;
  /** HMAC key of passwords, applied before bcrypt. */
  readonly pepper: DataKey;
  /** Seals the keys that sign heads. */
  readonly signing: DataKey;
  /** Seals the host's subscriptions. */
  readonly subscriptions: DataKey;
  /** From it follow the keys of what nodes tell each other. */
  readonly bus: DataKey;
  /** Stored in the vault to detect a different master key. Reveals nothing about the other keys. */
  readonly check: string;
}

/** Derives keys with HKDF-SHA-256 (RFC 5869). Must never change: other keys open nothing that is stored. */
export function deriveKeys(master: Buffer): MasterKeys {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', master, '', `parley/${purpose}/1`, KEY_BYTES));
  return {
    wrapping: derive('wrap data keys'),
    names: derive('names'),
    claims: derive('claims'),
    pepper: derive('pepper'),
    signing: derive('signing keys'),
    subscriptions: derive('subscriptions'),
    bus: derive('bus'),
    check: derive('check').toString('base64'),
  };
}

/**
 * Loads the key in `<dataDir>/master.key`. If there is none, creates it where `mayCreate` allows that, and else throws
 * `MasterKeyError`. Two processes get the same key. The file and its name are synced first, so that a power cut cannot
 * lose a key already in use.
 */
export async function loadMasterKey(dataDir: string, mayCreate: () => Promise<boolean>): Promise<Buffer> {
  const path = masterKeyFileOf(dataDir);
  const found = await readKey(path);
  if (found === undefined && !(await mayCreate()))
    throw new MasterKeyError(
      `${path} is missing, and the vault needs it; put it back from the place where you keep it, or set MASTER_KEY to that key, and start again`,
    );
  makeDirectory(dataDir);
  const key = found ?? (await createKey(path));
  // Also needed after reading: the creator may have been killed before it synced.
  await syncDirectory(dataDir);
  return key;
}

/** The name under which a vault keeps `MasterKeys.check`. */
export const MASTER_KEY_CHECK = 'master key check';

/** Throws `MasterKeyError` if the vault was created with another master key. A new vault adopts this one. */
export async function checkMasterKey(store: VaultStore, keys: MasterKeys): Promise<void> {
  requireSameKey(await store.insertIfAbsent(MASTER_KEY_CHECK, keys.check), keys);
}

/** Throws `MasterKeyError` unless the vault keeps the check of these keys. */
export function requireSameKey(kept: unknown, keys: MasterKeys): void {
  if (kept !== keys.check)
    throw new MasterKeyError(
      'the vault was created with another master key; set MASTER_KEY to that key, or put that key into DATA_DIR/master.key',
    );
}

async function readKey(path: string): Promise<Buffer | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== text.trim())
    throw new MasterKeyError(
      `${path} is damaged: it must contain 32 bytes in base64; put it back from the place where you keep it`,
    );
  return key;
}

async function createKey(path: string): Promise<Buffer> {
  const key = randomBytes(KEY_BYTES);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${key.toString('base64')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // A link, unlike a rename, never replaces a key that another process has just created.
    await link(draft, path);
  } catch (error) {
    const theirs = await readKey(path);
    if (theirs) return theirs;
    throw error;
  } finally {
    await unlink(draft);
  }
  return key;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
