import { type Bytes, concat, equal, fromBase64, sha256, toHex, utf8 } from './bytes.js';
import { Malformed } from './verification.js';

/** The public key of one signer, from a line such as `name+1234abcd+AbC…` (C2SP signed-note). */
export interface VerifierKey {
  readonly name: string;
  /** The whole line. */
  readonly line: string;
  /** The four bytes in the line that tell this key from others of the same name. */
  readonly id: Bytes;
  /** The correct id: the first four bytes of SHA-256(name || "\n" || type || public key). */
  readonly computedId: Bytes;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Bytes;
}

/** A signature line below a note's text. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: Bytes;
  readonly signature: Bytes;
}

/** A parsed note; nothing in it is verified. */
export interface Note {
  /** The signed text, including its last line break. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const ED25519 = 1;
const KEY = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/;
const SIGNATURE = /^— ([^\s+]+) ([A-Za-z0-9+/=]+)$/;

/** Parses a verifier key; throws `Malformed` for other kinds of keys. The caller compares the id. */
async function parseKey(line: string): Promise<VerifierKey> {
  const [, name, id, encoded] = KEY.exec(line) ?? [];
  if (name === undefined || id === undefined || encoded === undefined)
    throw new Malformed('a line is not a verifier key');
  const typed = fromBase64(encoded);
  if (typed[0] !== ED25519 || typed.length !== 33)
    throw new Malformed('a verifier key is not an Ed25519 key');
  const hash = await sha256(utf8(`${name}\n`), typed);
  return {
    name,
    line,
    id: Uint8Array.from({ length: 4 }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16)),
    computedId: hash.slice(0, 4),
    publicKey: typed.slice(1),
  };
}

/** Parses verifier keys, one on each line. */
export const parseKeys = (text: string): Promise<VerifierKey[]> =>
  Promise.all(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map(parseKey),
  );

/** Parses a note; throws `Malformed`. */
export function parseNote(note: string): Note {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw new Malformed('it is not a signed note');
  const lines = note.slice(end + 2, -1).split('\n');
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = SIGNATURE.exec(line) ?? [];
  if (name === undefined || encoded === undefined)
    throw new Malformed('a signature line of the note is invalid');
  const bytes = fromBase64(encoded);
  if (bytes.length < 5) throw new Malformed('a signature of the note is too short');
  return { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) };
}

/** The note's signature line with the key's name and id. */
export const signatureBy = ({ signatures }: Note, { name, id }: VerifierKey): NoteSignature | undefined =>
  signatures.find((one) => one.name === name && equal(one.keyId, id));

/** This browser has no Web Crypto, because the page did not come over HTTPS, or no Ed25519 in it. */
export class CannotVerify extends Error {
  override readonly name = 'CannotVerify';
}

/** Verifies an Ed25519 signature of the note's text with Web Crypto. Throws `CannotVerify`. */
export async function isSignedBy(
  { text }: Note,
  { signature }: NoteSignature,
  { publicKey }: VerifierKey,
): Promise<boolean> {
  let key: Awaited<ReturnType<typeof crypto.subtle.importKey>>;
  try {
    key = await crypto.subtle.importKey('raw', concat(publicKey), 'Ed25519', false, ['verify']);
  } catch (cause) {
    throw new CannotVerify(`this browser cannot use the Ed25519 key ${toHex(publicKey)}. It may be too old`, {
      cause,
    });
  }
  return crypto.subtle.verify('Ed25519', key, signature, utf8(text));
}
