import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Hash } from '../../log/log.js';
import { type Mismatch, MismatchError } from '../verify/report.js';
import type { TrustedHead } from '../verify/verifyState.js';
import { ED25519, keyIdOf } from './heads.js';

/** Signed heads, and the verifier keys to check them with. */
export interface SuppliedHeads {
  /** The heads from the vault, or from a bundle. */
  readonly heads: readonly string[];
  /** Checkpoints that the operator kept elsewhere. */
  readonly since: readonly string[];
  /** Verifier keys (C2SP signed-note), one line each. */
  readonly keys: readonly string[];
}

/** The content of a signed head. */
export interface ParsedHead {
  readonly origin: string;
  readonly partition: number;
  readonly size: number;
  readonly root: Hash;
  /** The commit that ends with this head. */
  readonly commit: { readonly position: number; readonly hash: Hash };
  readonly note: string;
}

/**
 * Parses a checkpoint without checking its signature: origin, size, root and commit, one line each (C2SP
 * tlog-checkpoint with one extension line). Throws a `MismatchError` unless it is the checkpoint of a partition.
 */
export function readHead(note: string): ParsedHead {
  const [origin = '', size = '', root = '', extension = ''] = note.split('\n');
  const [, partition] = /\/(0|[1-9]\d*)$/.exec(origin) ?? [];
  const [, position, hash] = /^commit ([1-9]\d*) ([A-Za-z0-9+/]{43}=)$/.exec(extension) ?? [];
  const isHead = /^(0|[1-9]\d*)$/.test(size) && Buffer.from(root, 'base64').length === 32;
  if (partition === undefined || position === undefined || hash === undefined || !isHead)
    throw new MismatchError({
      what: `not a checkpoint of a partition: ${JSON.stringify(note.slice(0, 80))}`,
    });
  const commit = { position: Number(position), hash };
  return { origin, partition: Number(partition), size: Number(size), root, commit, note };
}

/** Checks the signatures of the heads. Returns a mismatch if none of the keys has signed one of them. */
export function readTrustedHeads({ heads, since, keys }: SuppliedHeads): {
  trustedHeads: TrustedHead[];
  mismatch?: Mismatch;
} {
  try {
    const verifiers = keys.map(readKey);
    const trusted = (note: string, whose: string): TrustedHead => {
      const { origin, partition, size, root, commit } = readHead(note);
      const source = `the ${whose} of ${size} events`;
      if (verifiers.some((key) => key.name === origin && isSignedBy(key, note)))
        return { partition, size, root, commit, source };
      const what = `${source} of ${origin} has no valid signature by a known key`;
      throw new MismatchError({ what, partition });
    };
    return {
      trustedHeads: [
        ...heads.map((note) => trusted(note, 'signed head')),
        ...since.map((note) => trusted(note, 'checkpoint kept elsewhere')),
      ],
    };
  } catch (error) {
    if (error instanceof MismatchError) return { trustedHeads: [], mismatch: error.mismatch };
    throw error;
  }
}

interface VerifierKey {
  readonly name: string;
  /** The four bytes before each of the key's signatures. */
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** Parses a line such as `name+1234abcd+AbC…`. The id is the beginning of the SHA-256 of name and key. */
function readKey(line: string): VerifierKey {
  const [, name = '', id = '', text = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(line) ?? [];
  const bytes = strictBase64(text);
  const expected = keyIdOf(name, bytes);
  if (bytes[0] !== ED25519 || bytes.length !== 33 || expected.toString('hex') !== id)
    throw new MismatchError({ what: `not a verifier key: ${JSON.stringify(line.slice(0, 80))}` });
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: bytes.subarray(1).toString('base64url') };
  return { name, id: expected, key: createPublicKey({ key: jwk, format: 'jwk' }) };
}

function isSignedBy({ name, id, key }: VerifierKey, note: string): boolean {
  const end = note.lastIndexOf('\n\n') + 1;
  const text = Buffer.from(note.slice(0, end));
  return note
    .slice(end + 1)
    .split('\n')
    .some((line) => {
      const prefix = `— ${name} `;
      const signature = strictBase64(line.startsWith(prefix) ? line.slice(prefix.length) : '');
      return signature.subarray(0, 4).equals(id) && verify(null, text, key, signature.subarray(4));
    });
}

/** Decodes base64; empty unless the text is the canonical encoding. */
function strictBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : Buffer.alloc(0);
}
