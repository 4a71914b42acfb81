import { hkdfSync, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataKey } from './vault.js';
import type { VaultStore } from './vaultStore.js';

const KEY_BYTES = 32;
const KEY_FILE = 'master.key';

/** The master key is damaged, or not the one this vault was made with; `message` says what to do. */
export class MasterKeyError extends Error {
  override readonly name = 'MasterKeyError';
}

/** Keys derived from the master key, one a purpose, so that none says anything of another. */
export interface MasterKeys {
  /** Wraps data keys. */
  readonly wrapping: DataKey;
  /** HMAC of normalised names. */
  readonly names: DataKey;
  /** Seals what a claim to a name holds. */
  readonly claims: DataKey;
  /** HMAC of passwords before they are hashed. */
  readonly pepper: DataKey;
  /** Seals the keys that sign heads. */
  readonly signing: DataKey;
  /** Kept in the vault, so that another master key is noticed; says nothing of the rest. */
  readonly check: string;
}

/** HKDF-SHA-256 (RFC 5869). Fixed for ever: another derivation opens nothing. */
export function deriveKeys(master: Buffer): MasterKeys {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', master, '', `parley/${purpose}/1`, KEY_BYTES));
  return {
    wrapping: derive('wrap data keys'),
    names: derive('names'),
    claims: derive('claims'),
    pepper: derive('pepper'),
    signing: derive('signing keys'),
    check: derive('check').toString('base64'),
  };
}

/**
 * The key in `<dataDir>/master.key`, made at the first call. It has been forced to disk, its name too, before
 * it is answered: nothing is ever wrapped by a key that a power cut could take. Two processes get one key.
 */
export async function loadMasterKey(dataDir: string): Promise<Buffer> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, KEY_FILE);
  const key = (await readKey(path)) ?? (await makeKey(path));
  // Also after reading: who made the file may have been stopped before it came to this.
  await syncDirectory(dataDir);
  return key;
}

/** Throws `MasterKeyError` if the vault was made with another master key; a new vault takes this one. */
export async function checkMasterKey(store: VaultStore, keys: MasterKeys): Promise<void> {
  const made = await store.insertIfAbsent('master key check', keys.check);
  if (made !== keys.check)
    throw new MasterKeyError(
      'the master key is not the one this vault was made with: set MASTER_KEY, or restore DATA_DIR/master.key',
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
    throw new MasterKeyError(`${path} is damaged: it must hold 32 bytes in base64; restore it from a copy`);
  return key;
}

async function makeKey(path: string): Promise<Buffer> {
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
    // A link, unlike a rename, does not replace the key that another process has made meanwhile.
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
