import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';
import type { Sealed } from '../domain/define.js';
import type { DataKey } from './vault.js';

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
