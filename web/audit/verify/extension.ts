import { equal, Malformed, toBase64 } from './bytes.js';
import { type Checkpoint, readCheckpoint } from './checkpoint.js';
import { readHashes } from './inclusion.js';
import { emptyRoot, rootsByConsistency } from './merkle.js';
import { readNote } from './note.js';
import { checkHead, checkKnown } from './signed.js';
import { check, outcomeOf, type Step } from './steps.js';

/** A head that was believed, and the keys that are. */
export interface KeptHead {
  readonly note: string;
  /** Verifier keys by which heads of this partition were believed. */
  readonly keys: readonly string[];
}

/** A head, judged by the one that was kept of the same partition. */
export interface Judgement {
  readonly checkpoint: Checkpoint | undefined;
  readonly key: string | undefined;
  /** All that was checked; one that failed is an alarm. */
  readonly steps: readonly Step[];
}

/** A head as the server gives it, and what it is judged by. */
export interface NewHead {
  readonly partition: number;
  readonly note: string;
  /** The verifier keys that the server names, a line each. */
  readonly keys: string;
  /** What was kept; it must have been kept before `note` was asked for, since heads only grow. */
  readonly kept: KeptHead | undefined;
  /** The server's answer to `/audit/log/:partition/proof?from=&size=`. */
  readonly proofOf: (from: number, size: number) => Promise<unknown>;
}

/**
 * Judges a signed head: its form and signature and, if one was kept, that the key is one believed before and the tree
 * an extension of the kept one. Rejects as `proofOf` does: what was not answered is neither right nor wrong.
 */
export async function judgeHead({ partition, note, keys, kept, proofOf }: NewHead): Promise<Judgement> {
  const { checkpoint, key, steps } = await checkHead(note, keys, partition);
  if (!checkpoint || outcomeOf(steps) === 'failed') return { checkpoint, key, steps };
  if (!kept) return { checkpoint, key, steps: [...steps, await checkEmpty(checkpoint)] };
  const older = readCheckpoint(readNote(kept.note).text);
  return {
    checkpoint,
    key,
    steps: [...steps, checkKnown(key, kept.keys), await checkExtends(older, checkpoint, proofOf)],
  };
}

/** A log without events has the one root that there is for it. */
async function checkEmpty({ size, root }: Checkpoint): Promise<Step> {
  const holds = size > 0 || equal(root, await emptyRoot());
  const right = 'The first head of this partition that this browser has seen: later ones must extend it.';
  return check('Earlier heads', holds, [right, 'The root of an empty log is wrong.']);
}

async function checkExtends(
  older: Checkpoint,
  newer: Checkpoint,
  proofOf: NewHead['proofOf'],
): Promise<Step> {
  const values: Step['values'] = [
    ['kept', `${older.origin}, ${older.size} events, ${toBase64(older.root)}`],
    ['now', `${newer.origin}, ${newer.size} events, ${toBase64(newer.root)}`],
  ];
  const says = (holds: boolean, wrong: string, right = '', more: Step['values'] = []): Step =>
    check('Earlier heads', holds, [right, wrong], [...values, ...more]);
  if (older.origin !== newer.origin)
    return says(false, 'The log has another name than the one that was kept.');
  if (newer.size < older.size)
    return says(false, `The log has shrunk: from ${older.size} events to ${newer.size}.`);
  if (newer.size === older.size)
    return says(
      equal(older.root, newer.root),
      'Two heads of one size have two roots: there are two logs.',
      'It is the head that was kept.',
    );
  if (older.size === 0) return says(true, '', 'The log that was kept was empty: any log extends it.');
  const answer = await proofOf(older.size, newer.size);
  try {
    // Looked at by `readHashes`.
    const hashes = readHashes((answer as { hashes?: unknown } | undefined)?.hashes);
    const roots = await rootsByConsistency(older.size, newer.size, older.root, hashes);
    const holds = roots !== undefined && equal(roots.older, older.root) && equal(roots.newer, newer.root);
    return says(
      holds,
      'The log was rewritten: the head that was kept is no beginning of this one.',
      'The consistency proof leads to both roots: nothing of what was kept was changed.',
      [['proof', hashes.map(toBase64).join(' ')]],
    );
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return says(false, `There is no proof that the log extends what was kept: ${error.message}.`);
  }
}
