import { equal, fromBase64, toBase64, toHex } from './bytes.js';
import type { Tree } from './merkle.js';
import {
  CannotVerify,
  isSignedBy,
  type Note,
  type NoteSignature,
  parseKeys,
  parseNote,
  signatureBy,
  type VerifierKey,
} from './note.js';
import { failedStep, Malformed, type Step, stepOf } from './verification.js';

/** The signed statement of a log's size and root hash (C2SP tlog-checkpoint). */
export interface Checkpoint extends Tree {
  /** The log's name. */
  readonly origin: string;
}

/** A signed head with its verification steps. */
export interface SignedHead {
  /** `undefined` if the head is malformed. */
  readonly checkpoint: Checkpoint | undefined;
  /** The line of the key that signed the head; `undefined` if none of the given keys did. */
  readonly key: string | undefined;
  readonly steps: readonly Step[];
}

/** Parses the text of a checkpoint, without its signatures; throws `Malformed`. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = '', end] = text.split('\n');
  if (origin === '' || end === undefined)
    throw new Malformed('a checkpoint needs three lines: origin, size and root');
  if (!/^(0|[1-9]\d{0,14})$/.test(size))
    throw new Malformed('the second line of a checkpoint must be a size');
  const bytes = fromBase64(root);
  if (bytes.length !== 32) throw new Malformed('the root of a checkpoint must have 32 bytes');
  return { origin, size: Number(size), root: bytes };
}

/** Origins are `<log>/<partition>`. */
const isOfPartition = (origin: string, partition: number): boolean =>
  origin.endsWith(`/${partition}`) && origin.length > `/${partition}`.length;

/**
 * Verifies a partition's signed head: its text is a checkpoint of that partition, and one of `keys` signed it. `keys`
 * are verifier keys, one on each line.
 */
export async function verifySignedHead(note: string, keys: string, partition: number): Promise<SignedHead> {
  let parsed: { parts: Note; checkpoint: Checkpoint; known: readonly VerifierKey[] };
  try {
    const parts = parseNote(note);
    parsed = { parts, checkpoint: parseCheckpoint(parts.text), known: await parseKeys(keys) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const text = `The signed head or a key is malformed: ${error.message}.`;
    return {
      checkpoint: undefined,
      key: undefined,
      steps: [failedStep('Checkpoint', text, [['as received', note]])],
    };
  }
  const { parts, checkpoint, known } = parsed;
  const first = verifyOrigin(checkpoint, partition);
  const key = known.find((one) => one.name === checkpoint.origin && signatureBy(parts, one));
  const signature = key && signatureBy(parts, key);
  if (!key || !signature) {
    const text = `No key of ${checkpoint.origin} signed this head.`;
    return { checkpoint, key: undefined, steps: [first, failedStep('Signing key', text)] };
  }
  const steps = [first, verifyKeyId(key, signature), await verifySignature(parts, key, signature)];
  return { checkpoint, key: key.line, steps };
}

function verifyOrigin({ origin, size, root }: Checkpoint, partition: number): Step {
  return stepOf(
    'Checkpoint',
    isOfPartition(origin, partition),
    {
      passed: `The signed head of ${origin} states a size of ${size} events and this root hash.`,
      failed: `The signed head is of ${origin}, which is not partition ${partition}.`,
    },
    [
      ['origin', origin],
      ['size', String(size)],
      ['root hash', toBase64(root)],
    ],
  );
}

function verifyKeyId(key: VerifierKey, signature: NoteSignature): Step {
  return stepOf(
    'Signing key',
    equal(key.id, key.computedId),
    {
      passed:
        'The key ID is the start of the SHA-256 of the key’s name and bytes. The signature names this ID.',
      failed: 'The key ID is not the start of the SHA-256 of the key’s name and bytes.',
    },
    [
      ['verifier key', key.line],
      ['computed ID', toHex(key.computedId)],
      ['ID in the signature', toHex(signature.keyId)],
    ],
  );
}

async function verifySignature(parts: Note, key: VerifierKey, signature: NoteSignature): Promise<Step> {
  const title = 'Signature';
  const values = [
    ['signature', toBase64(signature.signature)],
    ['public key', toBase64(key.publicKey)],
    ['signed text', parts.text],
  ] as const;
  try {
    const texts = {
      passed: 'The Ed25519 signature of the text by this key is valid.',
      failed: 'The Ed25519 signature is invalid.',
    };
    return stepOf(title, await isSignedBy(parts, signature, key), texts, values);
  } catch (error) {
    if (!(error instanceof CannotVerify)) throw error;
    return { title, text: `Not checked: ${error.message}.`, outcome: 'unable', values };
  }
}

/** Verifies that this browser already trusts the key: the server sends its keys together with the heads. */
export const verifyKnownKey = (key: string | undefined, trusted: readonly string[]): Step =>
  stepOf(
    'Known key',
    key !== undefined && trusted.includes(key),
    {
      passed: 'This browser already trusts the key.',
      failed: 'This browser has never seen the key that signed this head.',
    },
    [['key', key ?? 'none']],
  );
