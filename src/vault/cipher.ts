import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';
import type { Sealed } from '../domain/define.js';
import type { DataKey } from './vault.js';

const ALGORITHM = 'aes-256-gcm';
const NONCE = 12;
const TAG = 16;

/** Sealed text that does not open: another key, another context, or altered. Trying again does not help. */
export class CipherError extends Error {
  override readonly name = 'CipherError';
}

// One call for many nonces: a call of its own for each costs more than the sealing. No byte is used twice.
const pool = Buffer.alloc(Math.floor(8192 / NONCE) * NONCE);
let used = pool.length;

function nextNonce(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += NONCE;
  return pool.subarray(used - NONCE, used);
}

/**
 * Seals text with AES-256-GCM (NIST SP 800-38D) under a random nonce of 96 bits: the same text never
 * seals to the same string twice. It opens only with the same key and the same context.
 */
export function seal(key: DataKey, text: string, context: string): Sealed {
  const nonce = nextNonce();
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  cipher.setAAD(Buffer.from(context));
  const body = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64');
}

/** Opens what `seal` made; throws `CipherError` when it is anything else. */
export function open(key: DataKey, sealed: Sealed, context: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < NONCE + TAG) throw new CipherError('sealed text is too short to be one');
  const end = bytes.length - TAG;
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(end));
  // As bytes until the tag is known to be right: two decodings into text take longer than one.
  const body = decipher.update(bytes.subarray(NONCE, end));
  try {
    decipher.final();
  } catch (cause) {
    throw new CipherError('sealed text does not open with this key in this place', { cause });
  }
  return body.toString();
}
