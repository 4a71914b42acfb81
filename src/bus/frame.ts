import { decodeLeaf } from '../events/codec.js';
import type { Commit } from '../log/log.js';
import type { CommitFrame } from './bus.js';

/** The commit with its events decoded, as it goes out. Throws `UnknownEventType`. */
export function commitFrame(commit: Commit): CommitFrame {
  const { partition, firstOffset, leaves } = commit;
  return { ...commit, events: leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i)) };
}
