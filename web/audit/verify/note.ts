import { type Bytes, concat, equal, fromBase64, Malformed, sha256, toHex, utf8 } from './bytes.js';

/** What verifies notes of one signer, read from a line such as `name+1234abcd+AbC…` (C2SP signed-note). */
export interface VerifierKey {
  readonly name: string;
  /** As it stands in the line. */
  readonly line: string;
  /** Four bytes that tell which key of this name it is. */
  readonly id: Bytes;
  /** What the id should be: SHA-256(name || "\n" || type || public key), its first four bytes. */
  readonly computedId: Bytes;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Bytes;
}

/** A line behind a note's text. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: Bytes;
  readonly signature: Bytes;
}

/** A signed note, taken apart; nothing is verified yet. */
export interface Note {
  /** What is signed, with the line break at its end. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const ED25519 = 1;
const KEY = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/;
const SIGNATURE = /^— ([^\s+]+) ([A-Za-z0-9+/=]+)$/;

/** Reads a verifier key; throws `Malformed` for another kind of key. That its id is right is for the caller to see. */
async function readKey(line: string): Promise<VerifierKey> {
  const [, name, id, encoded] = KEY.exec(line) ?? [];
  if (name === undefined || id === undefined || encoded === undefined)
    throw new Malformed('this is no verifier key');
  const typed = fromBase64(encoded);
  if (typed[0] !== ED25519 || typed.length !== 33) throw new Malformed('this is no Ed25519 key');
  const hash = await sha256(utf8(`${name}\n`), typed);
  return {
    name,
    line,
    id: Uint8Array.from({ length: 4 }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16)),
    computedId: hash.slice(0, 4),
    publicKey: typed.slice(1),
  };
}

/** Reads verifier keys, a line each. */
export const readKeys = (text: string): Promise<VerifierKey[]> =>
  Promise.all(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map(readKey),
  );

/** Takes a note apart; throws `Malformed`. */
export function readNote(note: string): Note {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw new Malformed('this is no signed note');
  const lines = note.slice(end + 2, -1).split('\n');
  return { text: note.slice(0, end + 1), signatures: lines.map(readSignature) };
}

function readSignature(line: string): NoteSignature {
  const [, name, encoded] = SIGNATURE.exec(line) ?? [];
  if (name === undefined || encoded === undefined) throw new Malformed('a line of the note is no signature');
  const bytes = fromBase64(encoded);
  if (bytes.length < 5) throw new Malformed('a signature of the note is too short');
  return { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) };
}

/** The signature of a note by a key: of the same name and key id. */
export const signatureBy = ({ signatures }: Note, { name, id }: VerifierKey): NoteSignature | undefined =>
  signatures.find((one) => one.name === name && equal(one.keyId, id));

/** This browser cannot do what is asked of it: it lacks Web Crypto (a page not over HTTPS) or its Ed25519. */
export class CannotVerify extends Error {
  override readonly name = 'CannotVerify';
}

/** Whether the signature is the key's, over the note's text: Ed25519 by Web Crypto. Throws `CannotVerify`. */
export async function isSignedBy(
  { text }: Note,
  { signature }: NoteSignature,
  { publicKey }: VerifierKey,
): Promise<boolean> {
  let key: Awaited<ReturnType<typeof crypto.subtle.importKey>>;
  try {
    key = await crypto.subtle.importKey('raw', concat(publicKey), 'Ed25519', false, ['verify']);
  } catch (cause) {
    throw new CannotVerify(
      `no Ed25519 key can be used here (${toHex(publicKey)}): this browser may be too old`,
      { cause },
    );
  }
  return crypto.subtle.verify('Ed25519', key, signature, utf8(text));
}
