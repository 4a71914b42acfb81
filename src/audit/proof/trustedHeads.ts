import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Hash } from '../../log/log.js';
import { type Mismatch, MismatchError } from '../verify/report.js';
import type { TrustedHead } from '../verify/verifyChain.js';
import { ED25519, keyIdOf } from './heads.js';

/** Signed heads, and the keys by which they are believed. */
export interface SignedHeads {
  /** Those that the vault keeps, or a bundle. */
  readonly heads: readonly string[];
  /** Those that were kept elsewhere. */
  readonly since: readonly string[];
  /** Verifier keys (C2SP signed-note), a line each. */
  readonly keys: readonly string[];
}

/** What a signed head says. */
export interface SignedHead {
  readonly origin: string;
  readonly partition: number;
  readonly size: number;
  readonly root: Hash;
  readonly note: string;
}

/**
 * What a checkpoint says, whoever signed it: origin, size and root, a line each (C2SP tlog-checkpoint). Throws a
 * `MismatchError` for what is none, or not of one partition.
 */
export function readHead(note: string): SignedHead {
  const [origin = '', size = '', root = ''] = note.split('\n');
  const [, partition] = /\/(0|[1-9]\d*)$/.exec(origin) ?? [];
  const isHead = /^(0|[1-9]\d*)$/.test(size) && Buffer.from(root, 'base64').length === 32;
  if (partition === undefined || !isHead)
    throw new MismatchError({ what: `no checkpoint of a partition: ${JSON.stringify(note.slice(0, 80))}` });
  return { origin, partition: Number(partition), size: Number(size), root, note };
}

/** What the signed heads bear witness to; or what is wrong, if one of them is signed by none of the keys. */
export function readTrustedHeads({ heads, since, keys }: SignedHeads): {
  trustedHeads: TrustedHead[];
  mismatch?: Mismatch;
} {
  try {
    const verifiers = keys.map(readKey);
    const trusted = (note: string, whose: string): TrustedHead => {
      const { origin, partition, size, root } = readHead(note);
      const source = `the ${whose} of ${size} events`;
      if (verifiers.some((key) => key.name === origin && isSignedBy(key, note)))
        return { partition, size, root, source };
      const what = `${source} of ${origin} is signed by no key that is known of it`;
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
  /** Four bytes, before each of its signatures. */
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** A line such as `name+1234abcd+AbC…`; its id is the SHA-256's beginning of name and key. */
function readKey(line: string): VerifierKey {
  const [, name = '', id = '', text = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(line) ?? [];
  const bytes = strictBase64(text);
  const expected = keyIdOf(name, bytes);
  if (bytes[0] !== ED25519 || bytes.length !== 33 || expected.toString('hex') !== id)
    throw new MismatchError({ what: `no verifier key: ${JSON.stringify(line.slice(0, 80))}` });
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

/** Empty for what is not the one way to write some bytes. */
function strictBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : Buffer.alloc(0);
}
