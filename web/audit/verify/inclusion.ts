import { type Bytes, equal, fromBase64, toBase64 } from './bytes.js';
import { asFields, type EntryFields, fieldOfStream, readEntry } from './entry.js';
import { type Level, leafHash, rootByInclusion } from './merkle.js';
import { type Checkpoint, verifySignedHead } from './signedHead.js';
import { failedStep, Malformed, type Step, stepOf } from './verification.js';

/** A tree of 2 ** 53 leaves has 53 levels; a consistency proof has at most one hash more. */
const MAX_HASHES = 54;

/** The event that a proof is expected to prove. */
export interface Claim {
  readonly partition: number;
  readonly offset: number;
  /** The event as the console showed it, if it did. */
  readonly event?: Readonly<Record<string, unknown>>;
}

/** The result of verifying a proof. */
export interface VerifiedProof {
  readonly steps: readonly Step[];
  /** The entry as text; `undefined` if the proof is malformed. */
  readonly entry: string | undefined;
  /** The line of the verifier key that signed the head. */
  readonly key: string | undefined;
}

interface Proof {
  readonly offset: number;
  readonly size: number;
  readonly entry: Bytes;
  readonly hashes: readonly Bytes[];
  readonly checkpoint: string;
}

/**
 * Verifies that an event is in the signed log, from the server's answer to `/audit/log/:partition/proof?offset=` and
 * the server's verifier keys. Reports every step, also those after a failed one. Trusts nothing in the answer.
 */
export async function verifyInclusion(answer: unknown, keys: string, claim: Claim): Promise<VerifiedProof> {
  let proof: Proof;
  try {
    proof = parseProof(answer);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const step = failedStep('Request', `The answer is not a proof: ${error.message}.`);
    return { steps: [step], entry: undefined, key: undefined };
  }
  const entry = new TextDecoder().decode(proof.entry);
  const {
    checkpoint,
    key,
    steps: headSteps,
  } = await verifySignedHead(proof.checkpoint, keys, claim.partition);
  const leaf = await leafHash(proof.entry);
  const { levels, root } = await rootByInclusion(leaf, proof.offset, proof.size, proof.hashes);
  const steps: readonly Step[] = [
    verifyRequest(proof, claim, checkpoint),
    ...(claim.event ? [verifyShownEvent(entry, claim.event)] : []),
    {
      title: 'Leaf',
      text: 'The leaf hash is the SHA-256 of a byte 0x00 and the entry’s bytes.',
      outcome: 'passed',
      values: [['leaf hash', toBase64(leaf)]],
    },
    ...levels.map((level, i) => levelStep(level, i + 1, levels.length)),
    verifyRoot(root, checkpoint),
    ...headSteps,
  ];
  return { steps, entry, key };
}

function verifyRequest(proof: Proof, claim: Claim, checkpoint: Checkpoint | undefined): Step {
  const { offset, size } = proof;
  const isRequested = offset === claim.offset && offset < size && size === checkpoint?.size;
  return stepOf('Request', isRequested, {
    passed: `The proof is for event ${offset} in a log of ${size} events, as requested.`,
    failed: `The proof is for event ${offset} in a log of ${size} events. The request was for event ${claim.offset}, and the signed size is ${checkpoint?.size ?? 'unknown'}.`,
  });
}

function levelStep({ sibling, side, result }: Level, number: number, count: number): Step {
  const operands = side === 'left' ? 'the proof’s hash and our hash' : 'our hash and the proof’s hash';
  return {
    title: `Step ${number} of ${count} to the root`,
    text: `The next hash is the SHA-256 of a byte 0x01, ${operands}.`,
    outcome: 'passed',
    values: [
      [`proof’s hash, ${side}`, toBase64(sibling)],
      ['next hash', toBase64(result)],
    ],
  };
}

function verifyRoot(root: Bytes | undefined, checkpoint: Checkpoint | undefined): Step {
  const isEqual = root !== undefined && checkpoint !== undefined && equal(root, checkpoint.root);
  return stepOf(
    'Root',
    isEqual,
    {
      passed:
        'The computed root hash equals the one in the signed head: the event is in this log, at this position.',
      failed:
        root === undefined
          ? 'The number of hashes in the proof does not fit its offset and size.'
          : 'The computed root hash differs from the one in the signed head: the event or the proof was changed.',
    },
    [
      ['computed', root ? toBase64(root) : 'none'],
      ['in the signed head', checkpoint ? toBase64(checkpoint.root) : 'none'],
    ],
  );
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function parseProof(answer: unknown): Proof {
  // Every field is checked below.
  const { offset, size, entry, hashes, checkpoint } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (!isCount(offset) || !isCount(size)) throw new Malformed('the offset or the size is missing');
  if (typeof entry !== 'string') throw new Malformed('the entry is missing');
  if (typeof checkpoint !== 'string') throw new Malformed('the signed head is missing');
  return { offset, size, entry: fromBase64(entry), hashes: readHashes(hashes), checkpoint };
}

/** Parses the hashes of a proof; throws `Malformed`. */
export function readHashes(hashes: unknown): readonly Bytes[] {
  if (!Array.isArray(hashes) || hashes.length > MAX_HASHES)
    throw new Malformed('the list of hashes is missing or too long');
  return hashes.map((hash: unknown) => {
    const bytes = typeof hash === 'string' ? fromBase64(hash) : undefined;
    if (bytes?.length !== 32) throw new Malformed('a hash does not have 32 bytes');
    return bytes;
  });
}

const comparedFields = ['stream', 'version', 'type', 'actor', 'recordedAt', 'commandId', 'via'];
/** Encrypted in the entry and decrypted in the console, so they cannot be compared. */
const sealedFields = [
  ...['text', 'data', 'username', 'note', 'reason', 'name', 'subject'],
  ...['displayName', 'about', 'status', 'locale'],
];

function verifyShownEvent(entry: string, shown: Readonly<Record<string, unknown>>): Step {
  const stored = readEntry(entry);
  const data = asFields(shown.data);
  // Only some types of event show the id of their stream in their data.
  const ofStream = Object.entries(fieldOfStream(stored)).filter(([name]) => name in data);
  const different = [
    ...comparedFields.filter((name) => stored[name] !== shown[name]),
    ...differences({ ...Object.fromEntries(ofStream), ...asFields(stored.data) }, data),
  ];
  return stepOf('Event', different.length === 0, {
    passed:
      'The entry has the same fields as the event in this console. Names and texts are encrypted in the entry.',
    failed: `The entry differs from the event in this console. Different fields: ${different.join(', ')}.`,
  });
}

const differences = (stored: EntryFields, shown: EntryFields): string[] =>
  Object.keys({ ...stored, ...shown }).filter(
    (name) => !sealedFields.includes(name) && JSON.stringify(stored[name]) !== JSON.stringify(shown[name]),
  );
