import { pack, unpack } from './codec.js';
import type { Commit, Hash } from './log.js';

/** A commit as MongoDB holds it; the partition is the collection's. */
export interface CommitDocument {
  /** The position: unique, and the only index. */
  _id: number;
  id: string;
  epoch: number;
  recordedAt: string;
  firstOffset: number;
  size: number;
  root: Hash;
  frontier?: readonly Hash[];
  hash: Hash;
  /** UTF-8, a line a leaf. BSON binary, so that nothing on the way takes it for text: bytes in, the same bytes out. */
  leaves: Buffer;
}

/** The document of a commit. */
export function toDocument(commit: Commit): CommitDocument {
  const { partition, position, text, ...fields } = pack(commit);
  return { _id: position, ...fields, leaves: Buffer.from(text) };
}

/** The commit of a document of this partition's collection, which must be read with `promoteBuffers`. */
export function fromDocument(partition: number, { _id, leaves, ...fields }: CommitDocument): Commit {
  return unpack({ partition, position: _id, ...fields, text: leaves.toString() });
}
