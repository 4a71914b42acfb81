import { equal, toBase64 } from './bytes.js';
import { readHashes } from './inclusion.js';
import { emptyRoot, rootsByConsistency } from './merkle.js';
import { parseNote } from './note.js';
import {
  type Checkpoint,
  parseCheckpoint,
  type SignedHead,
  verifyKnownKey,
  verifySignedHead,
} from './signedHead.js';
import { failedStep, Malformed, outcomeOf, type Step, stepOf } from './verification.js';

const TITLE = 'Consistency with earlier heads';

/** A head that this browser verified and trusts. */
export interface TrustedHead {
  readonly note: string;
  /** The verifier keys of all trusted heads of this partition. */
  readonly keys: readonly string[];
}

/** A head from the server, and the trusted head that it must extend. */
export interface NewHead {
  readonly partition: number;
  readonly note: string;
  /** The verifier keys that the server names, one on each line. */
  readonly keys: string;
  /** Must be stored before `note` is requested: only then can `note` not be smaller. */
  readonly trusted: TrustedHead | undefined;
  /** Gets the server's answer to `/audit/log/:partition/proof?from=&size=`. */
  readonly getProof: (from: number, size: number) => Promise<unknown>;
}

/**
 * Verifies a signed head. If there is a trusted head, a trusted key must have signed the new one, and its tree must
 * extend the trusted tree. A failed step is an alarm. Rejects if `getProof` rejects: without an answer the head is
 * neither valid nor invalid.
 */
export async function verifyNewHead(head: NewHead): Promise<SignedHead> {
  const { partition, note, keys, trusted, getProof } = head;
  const { checkpoint, key, steps } = await verifySignedHead(note, keys, partition);
  if (!checkpoint || outcomeOf(steps) === 'failed') return { checkpoint, key, steps };
  if (!trusted) return { checkpoint, key, steps: [...steps, await verifyFirstHead(checkpoint)] };
  const older = parseCheckpoint(parseNote(trusted.note).text);
  const consistency = await verifyConsistency(older, checkpoint, getProof);
  return { checkpoint, key, steps: [...steps, verifyKnownKey(key, trusted.keys), consistency] };
}

/** Verifies the root of an empty log; nothing is known about a first head of another size. */
async function verifyFirstHead({ size, root }: Checkpoint): Promise<Step> {
  return stepOf(TITLE, size > 0 || equal(root, await emptyRoot()), {
    passed: 'This is the first head of this partition in this browser. Later heads must extend it.',
    failed: 'The root hash of an empty log is wrong.',
  });
}

async function verifyConsistency(
  older: Checkpoint,
  newer: Checkpoint,
  getProof: NewHead['getProof'],
): Promise<Step> {
  const values: Step['values'] = [
    ['before', `${older.origin}, ${older.size} events, ${toBase64(older.root)}`],
    ['now', `${newer.origin}, ${newer.size} events, ${toBase64(newer.root)}`],
  ];
  const fail = (text: string): Step => failedStep(TITLE, text, values);
  if (older.origin !== newer.origin) return fail('The log’s name has changed.');
  if (newer.size < older.size) return fail(`The log has shrunk from ${older.size} events to ${newer.size}.`);
  if (newer.size === older.size) {
    const texts = {
      passed: 'The head has not changed.',
      failed: 'Two heads of the same size have different root hashes: there are two different logs.',
    };
    return stepOf(TITLE, equal(older.root, newer.root), texts, values);
  }
  if (older.size === 0) {
    const text = 'The log was empty before. Every log extends an empty log.';
    return { title: TITLE, text, outcome: 'passed', values };
  }
  const answer = await getProof(older.size, newer.size);
  try {
    // `readHashes` checks the field.
    const hashes = readHashes((answer as { hashes?: unknown } | undefined)?.hashes);
    const roots = await rootsByConsistency(older.size, newer.size, older.root, hashes);
    const isExtended =
      roots !== undefined && equal(roots.older, older.root) && equal(roots.newer, newer.root);
    const texts = {
      passed: 'The consistency proof leads to both root hashes: earlier events have not changed.',
      failed:
        'The consistency proof does not lead to both root hashes: the new log does not extend the earlier one.',
    };
    return stepOf(TITLE, isExtended, texts, [...values, ['proof', hashes.map(toBase64).join(' ')]]);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return fail(`The server gave no valid consistency proof: ${error.message}.`);
  }
}
