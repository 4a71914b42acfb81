/*
 * This directory is an independent verifier, written from RFC 9162, RFC 6962 and the C2SP specifications. It shares
 * no code with the server's Merkle trees and notes, so that a mistake there is not repeated here. It uses only
 * `crypto.subtle`, `TextEncoder` and `atob`, which browsers and Node both have.
 */

import { Malformed } from './verification.js';

/** The kind of byte array that Web Crypto accepts. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Encodes text as UTF-8. */
export const utf8 = (text: string): Bytes => Uint8Array.from(new TextEncoder().encode(text));

/** Joins byte arrays. */
export function concat(...parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Compares bytes. Not in constant time: nothing here is secret. */
export const equal = (one: Bytes, two: Bytes): boolean =>
  one.length === two.length && one.every((byte, i) => byte === two[i]);

/** Encodes base64 (RFC 4648, with padding). */
export const toBase64 = (bytes: Bytes): string =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

/** Decodes canonical base64, else throws `Malformed`: a text that differs in any bit must not decode to the same bytes. */
export function fromBase64(text: string): Bytes {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new Malformed('the base64 is invalid', { cause });
  }
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  if (toBase64(bytes) !== text) throw new Malformed('the base64 is not in canonical form');
  return bytes;
}

/** Encodes lower-case hexadecimal. */
export const toHex = (bytes: Bytes): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Hashes with SHA-256. */
export const sha256 = async (...parts: readonly Bytes[]): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', concat(...parts)));
