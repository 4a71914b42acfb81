import { fromBase64, Malformed } from './bytes.js';
import type { Tree } from './merkle.js';

/** What a signed head says (C2SP tlog-checkpoint). */
export interface Checkpoint extends Tree {
  /** Whose log it is. */
  readonly origin: string;
}

/** Reads the text of a checkpoint, signatures not among it; throws `Malformed`. */
export function readCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = '', end] = text.split('\n');
  if (origin === '' || end === undefined)
    throw new Malformed('a checkpoint has three lines: origin, size and root');
  if (!/^(0|[1-9]\d{0,14})$/.test(size)) throw new Malformed('the second line of a checkpoint is a size');
  const bytes = fromBase64(root);
  if (bytes.length !== 32) throw new Malformed('the root of a checkpoint has 32 bytes');
  return { origin, size: Number(size), root: bytes };
}

/** Whether it is of this partition: origins are `<log>/<partition>`. */
export const isOfPartition = (origin: string, partition: number): boolean =>
  origin.endsWith(`/${partition}`) && origin.length > `/${partition}`.length;
