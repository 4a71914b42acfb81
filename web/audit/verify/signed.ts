import { equal, Malformed, toBase64, toHex } from './bytes.js';
import { type Checkpoint, isOfPartition, readCheckpoint } from './checkpoint.js';
import {
  CannotVerify,
  isSignedBy,
  type Note,
  readKeys,
  readNote,
  signatureBy,
  type VerifierKey,
} from './note.js';
import { check, type Step } from './steps.js';

/** A head that was read, and what is to be said of it and of its signature. */
export interface SignedHead {
  /** Undefined if it could not be read. */
  readonly checkpoint: Checkpoint | undefined;
  /** The line of the key that has signed it; undefined if none of the keys has. */
  readonly key: string | undefined;
  readonly steps: readonly Step[];
}

/**
 * Checks a partition's signed head: that its text is a checkpoint of that partition, that a key with a right id has
 * signed it, and the signature. `keys` are verifier keys, a line each.
 */
export async function checkHead(note: string, keys: string, partition: number): Promise<SignedHead> {
  let read: { parts: Note; checkpoint: Checkpoint; known: readonly VerifierKey[] };
  try {
    const parts = readNote(note);
    read = { parts, checkpoint: readCheckpoint(parts.text), known: await readKeys(keys) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const step = check(
      'Checkpoint',
      false,
      ['', `It cannot be read: ${error.message}.`],
      [['as sent', note]],
    );
    return { checkpoint: undefined, key: undefined, steps: [step] };
  }
  const { parts, checkpoint, known } = read;
  const said = check(
    'Checkpoint',
    isOfPartition(checkpoint.origin, partition),
    [
      `The signed head of ${checkpoint.origin} says: ${checkpoint.size} events, and this root.`,
      `The head is of ${checkpoint.origin}, which is not partition ${partition}.`,
    ],
    [
      ['origin', checkpoint.origin],
      ['size', String(checkpoint.size)],
      ['root', toBase64(checkpoint.root)],
    ],
  );
  const key = known.find((one) => one.name === checkpoint.origin && signatureBy(parts, one));
  const signature = key && signatureBy(parts, key);
  if (!key || !signature) {
    const wrong = `No key of ${checkpoint.origin} has signed this head.`;
    return { checkpoint, key: undefined, steps: [said, check('Signing key', false, ['', wrong])] };
  }
  const id = check(
    'Signing key',
    equal(key.id, key.computedId),
    [
      'The key’s id is the start of the SHA-256 of its name and bytes, and stands before the signature.',
      'The key’s id is not the start of the SHA-256 of its name and bytes.',
    ],
    [
      ['verifier key', key.line],
      ['id, computed', toHex(key.computedId)],
      ['id, in the signature', toHex(signature.keyId)],
    ],
  );
  const values = [
    ['signature', toBase64(signature.signature)],
    ['public key', toBase64(key.publicKey)],
    ['signed text', parts.text],
  ] as const;
  return { checkpoint, key: key.line, steps: [said, id, await checkSignature(parts, key, values)] };
}

async function checkSignature(parts: Note, key: VerifierKey, values: Step['values']): Promise<Step> {
  const title = 'Signature';
  const signature = signatureBy(parts, key);
  try {
    const holds = signature !== undefined && (await isSignedBy(parts, signature, key));
    const says = [
      'The Ed25519 signature is the key’s, over these bytes.',
      'The Ed25519 signature is wrong.',
    ] as const;
    return check(title, holds, says, values);
  } catch (error) {
    if (!(error instanceof CannotVerify)) throw error;
    return { title, says: `It was not checked: ${error.message}.`, outcome: 'unable', values };
  }
}

/** Checks that a verifier key is one of those that were believed before; it came with what it is to verify. */
export const checkKnown = (key: string | undefined, known: readonly string[]): Step =>
  check(
    'Key seen before',
    key !== undefined && known.includes(key),
    [
      'The key is one that this browser has believed before.',
      'The key that has signed this head was never seen by this browser.',
    ],
    [['key', key ?? 'none']],
  );
