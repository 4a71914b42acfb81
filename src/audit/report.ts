import type { Hash } from '../log/log.js';
import type { Wrong } from './wrong.js';

/** What was found. */
export interface Report {
  readonly partitions: readonly CheckedPartition[];
  /** By read model how many of its rows were compared. */
  readonly models: readonly { readonly name: string; readonly rows: number }[];
  /** The first wrong place; absent: none. What comes after it was not looked at. */
  readonly wrong?: Wrong;
}

/** A partition as far as nothing is wrong in it. */
export interface CheckedPartition {
  readonly partition: number;
  readonly events: number;
  /** The time of the last of them; empty if there is none. */
  readonly until: string;
  readonly root: Hash;
  /** A bundle has no commits. */
  readonly commits?: number;
  /** The last commit's. */
  readonly hash?: Hash;
}
