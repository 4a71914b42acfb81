/*
 * This directory is a verifier of its own: from RFC 9162, RFC 6962 and C2SP alone, sharing on purpose no line with
 * the server's Merkle trees and notes, so that a mistake there is not repeated here. It needs `crypto.subtle`,
 * `TextEncoder` and `atob`, which browsers and Node both have, and nothing else of either.
 */

/** Bytes that Web Crypto takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What was to be read is not what it should be; the message says in which way. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** The UTF-8 of a text. */
export const utf8 = (text: string): Bytes => Uint8Array.from(new TextEncoder().encode(text));

/** Bytes one after the other. */
export function concat(...parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether they are the same; nothing here is secret, so it may stop at the first difference. */
export const equal = (one: Bytes, two: Bytes): boolean =>
  one.length === two.length && one.every((byte, i) => byte === two[i]);

/** Base64 (RFC 4648, with padding). */
export const toBase64 = (bytes: Bytes): string =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

/** Reads base64 that is written in the one canonical way, else throws `Malformed`: no bit of it goes unread. */
export function fromBase64(text: string): Bytes {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new Malformed('this is no base64', { cause });
  }
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  if (toBase64(bytes) !== text) throw new Malformed('this base64 is not in its canonical form');
  return bytes;
}

/** Lower-case hexadecimal. */
export const toHex = (bytes: Bytes): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** SHA-256, by Web Crypto. */
export const sha256 = async (...parts: readonly Bytes[]): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', concat(...parts)));
