import { type Bytes, equal, fromBase64, Malformed, toBase64 } from './bytes.js';
import { climbFromLeaf, leafHash } from './merkle.js';
import { checkHead } from './signed.js';
import { check, type Step } from './steps.js';

/** What is claimed to be in the log, by whoever asks for the proof. */
export interface Claim {
  readonly partition: number;
  readonly offset: number;
  /** The event as it was shown, if it was. */
  readonly event?: Readonly<Record<string, unknown>>;
}

/** A proof, checked. */
export interface CheckedProof {
  readonly steps: readonly Step[];
  /** The entry as text, if there was one to read. */
  readonly entry: string | undefined;
  /** The verifier key that has signed the head. */
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
 * Checks that an event is in the signed log, by the server's answer to `/audit/log/:partition/proof?offset=` and its
 * verifier keys. Every step is reported, also after one that fails; nothing in the answer is believed.
 */
export async function checkInclusion(answer: unknown, keys: string, claim: Claim): Promise<CheckedProof> {
  let proof: Proof;
  try {
    proof = readProof(answer);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const step = check('The answer', false, ['', `It is no proof: ${error.message}.`]);
    return { steps: [step], entry: undefined, key: undefined };
  }
  const entry = new TextDecoder().decode(proof.entry);
  const { checkpoint, key, steps: signed } = await checkHead(proof.checkpoint, keys, claim.partition);
  const { leaf, climbs, root } = await climb(proof);
  const size = checkpoint?.size;
  const leads = root !== undefined && checkpoint !== undefined && equal(root, checkpoint.root);
  const steps: readonly Step[] = [
    check('The answer', proof.offset === claim.offset && proof.offset < proof.size && proof.size === size, [
      `It is about event ${proof.offset} of a log of ${proof.size} events, as asked.`,
      `It is about event ${proof.offset} of ${proof.size}; asked was ${claim.offset}, and signed are ${size ?? 'none'}.`,
    ]),
    ...(claim.event ? [checkShown(entry, claim.event)] : []),
    {
      title: 'Leaf',
      says: 'SHA-256 of a zero byte and the entry’s bytes.',
      outcome: 'passed',
      values: [['leaf hash', toBase64(leaf)]],
    },
    ...climbs.map(
      ({ beside, side, result }, i): Step => ({
        title: `Step ${i + 1} of ${climbs.length} to the root`,
        says: `SHA-256 of a one byte, ${side === 'left' ? 'the proof’s hash and ours' : 'our hash and the proof’s'}.`,
        outcome: 'passed',
        values: [
          [`from the proof, ${side}`, toBase64(beside)],
          ['gives', toBase64(result)],
        ],
      }),
    ),
    check(
      'Root',
      leads,
      [
        'What was computed is the root in the signed head: the event is in this log, at this place.',
        root === undefined
          ? 'The proof has not as many hashes as its place and size ask for.'
          : 'What was computed is not the root in the signed head: the event, or the proof, was changed.',
      ],
      [
        ['computed', root ? toBase64(root) : 'none'],
        ['in the head', checkpoint ? toBase64(checkpoint.root) : 'none'],
      ],
    ),
    ...signed,
  ];
  return { steps, entry, key };
}

async function climb({ entry, offset, size, hashes }: Proof) {
  const leaf = await leafHash(entry);
  return { leaf, ...(await climbFromLeaf(leaf, offset, size, hashes)) };
}

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function readProof(answer: unknown): Proof {
  // Each field is looked at below.
  const { offset, size, entry, hashes, checkpoint } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (!isNumber(offset) || !isNumber(size)) throw new Malformed('place or size are missing');
  if (typeof entry !== 'string') throw new Malformed('the entry is missing');
  if (typeof checkpoint !== 'string') throw new Malformed('the signed head is missing');
  return { offset, size, entry: fromBase64(entry), hashes: readHashes(hashes), checkpoint };
}

/** The hashes of a proof; throws `Malformed`. */
export function readHashes(hashes: unknown): readonly Bytes[] {
  // A tree of 2 ** 53 leaves is as high; a consistency proof has one more at most.
  if (!Array.isArray(hashes) || hashes.length > 54)
    throw new Malformed('these are not the hashes of a proof');
  return hashes.map((hash: unknown) => {
    const bytes = typeof hash === 'string' ? fromBase64(hash) : undefined;
    if (bytes?.length !== 32) throw new Malformed('a hash has 32 bytes');
    return bytes;
  });
}

/** Sealed in the entry, and opened in what is shown: of these only the entry's form is proven. */
const sealed = ['text', 'username'];
const told = ['stream', 'version', 'type', 'actor', 'recordedAt', 'commandId'];

function checkShown(entry: string, shown: Readonly<Record<string, unknown>>): Step {
  const stored = fieldsOf(entry);
  const differing = [
    ...told.filter((name) => stored[name] !== shown[name]),
    ...differences(asFields(stored.data), asFields(shown.data)),
  ];
  return check('The event', differing.length === 0, [
    'The entry is the event that was shown: ids, times and order agree. Names and texts are sealed in it.',
    `The entry is not the event that was shown: ${differing.join(', ')} differ.`,
  ]);
}

const asFields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

function fieldsOf(entry: string): Readonly<Record<string, unknown>> {
  try {
    return asFields(JSON.parse(entry));
  } catch {
    // An entry that is no JSON is none of the event's: every field differs.
    return {};
  }
}

const differences = (
  stored: Readonly<Record<string, unknown>>,
  shown: Readonly<Record<string, unknown>>,
): string[] =>
  Object.keys({ ...stored, ...shown }).filter(
    (name) => !sealed.includes(name) && JSON.stringify(stored[name]) !== JSON.stringify(shown[name]),
  );
