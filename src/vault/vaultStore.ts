import type { Sealed } from '../domain/define.js';
import type { UserId } from '../domain/ids.js';

export interface KeyRow {
  readonly owner: UserId;
  /** Null: a tombstone. */
  readonly wrapped: Sealed | null;
}

export interface ClaimRow {
  /** Null: a tombstone. */
  readonly sealed: Sealed | null;
  readonly registered: boolean;
}

/** An erasure that has begun and is not done. */
export interface ErasureRow {
  readonly owner: UserId;
  /** The id of the claim to the user's name. */
  readonly claim: string;
}

/** The newest head of a partition that was signed. */
export interface HeadRow {
  readonly partition: number;
  /** Of the commit after which the log was so. */
  readonly position: number;
  readonly size: number;
  /** SHA-256 in base64. */
  readonly root: string;
  /** The signed note. */
  readonly note: string;
}

/** A key that signs heads. */
export interface SigningKeyRow {
  /** 1, 2, 3 …: the largest is in use. */
  readonly number: number;
  readonly sealed: Sealed;
}

export interface SessionRow {
  readonly id: string;
  readonly userId: UserId;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly endedAt: string | null;
}

/** A session is dead once ended or expired. Of each user's dead ones this many, the newest, are kept. */
export const DEAD_SESSIONS_KEPT = 100;

/**
 * What an engine does for the vault: rows under keys, and nothing of cryptography. Every write is durable
 * once it resolves; every read sees all writes that have resolved. Any error means: nothing is known.
 */
export interface VaultStore {
  /** Stores the value if the name has none; answers the one that stands. */
  settle(name: string, value: string): Promise<string>;

  /** False if there is a row, a tombstone too. */
  insertKey(owner: UserId, wrapped: Sealed): Promise<boolean>;
  /** The rows there are of those asked for, in any order. */
  keys(owners: readonly UserId[]): Promise<KeyRow[]>;
  /** Leaves a tombstone, whether or not there was a key. */
  destroyKey(owner: UserId): Promise<void>;

  /** False if there is a row, a tombstone too. */
  insertClaim(id: string, sealed: Sealed): Promise<boolean>;
  claim(id: string): Promise<ClaimRow | undefined>;
  markRegistered(id: string): Promise<void>;
  /** Compare and set; false if `from` is not what stands there. */
  replaceClaim(id: string, from: Sealed, to: Sealed): Promise<boolean>;
  /** Makes the row a tombstone. */
  eraseClaim(id: string): Promise<void>;
  /** The same row again is no error. */
  insertErasure(erasure: ErasureRow): Promise<void>;
  erasures(): Promise<ErasureRow[]>;
  /** None is fine too. */
  removeErasure(owner: UserId): Promise<void>;

  /** False if there is one of this number. */
  insertSigningKey(key: SigningKeyRow): Promise<boolean>;
  signingKeys(): Promise<SigningKeyRow[]>;
  /** One a partition. */
  heads(): Promise<HeadRow[]>;
  head(partition: number): Promise<HeadRow | undefined>;
  /** Compare and set; false if `from` is not the note that stands there. Null: there is none. */
  replaceHead(from: string | null, to: HeadRow): Promise<boolean>;
  /** Keeps a head that was given up, for ever; the same again is no error. */
  keepHead(head: HeadRow): Promise<void>;

  /** Prunes the user's dead sessions in passing. */
  insertSession(session: SessionRow): Promise<void>;
  session(id: string): Promise<SessionRow | undefined>;
  /** Keeps the first end. */
  endSession(id: string, at: string): Promise<void>;
  /** Ends the user's sessions that have not ended, but `except`; answers their ids. */
  endSessions(userId: UserId, except: string | null, at: string): Promise<string[]>;
  /**
   * The sessions that ended within so many milliseconds, or a little more, whichever process ended them: on the
   * store's own clock, so that looks that follow each other miss none. Undefined: no other process uses this store.
   */
  endedLately(lastMs: number): Promise<string[] | undefined>;
  /** Newest first. */
  sessions(userId: UserId): Promise<SessionRow[]>;

  close(): Promise<void>;
}
