import type { Sealed } from '../domain/fields.js';
import type { UserId } from '../domain/ids.js';

export interface KeyRow {
  readonly owner: UserId;
  /** Null is a tombstone. */
  readonly wrapped: Sealed | null;
}

export interface ClaimRow {
  /** Null is a tombstone. */
  readonly sealed: Sealed | null;
  readonly registered: boolean;
}

/** An erasure in progress. */
export interface ErasureRow {
  readonly owner: UserId;
  /** The id of the claim to the user's name. */
  readonly claim: string;
}

/** The newest signed head of a partition. */
export interface HeadRow {
  readonly partition: number;
  /** The position of the commit at this head. */
  readonly position: number;
  readonly size: number;
  /** SHA-256 in base64. */
  readonly root: string;
  /** The signed note. */
  readonly note: string;
}

/** A key that signs heads. */
export interface SigningKeyRow {
  /** 1, 2, 3 …; the largest is current. */
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

/** Sessions kept per user after they ended or expired, the newest ones. */
export const MAX_ENDED_SESSIONS = 100;

/** User keys, each wrapped by the master key. */
export interface KeyTable {
  /** Returns false if the owner has a row already, be it a tombstone. */
  insertKey(owner: UserId, wrapped: Sealed): Promise<boolean>;
  /** Returns the existing rows of these owners, in any order. */
  findKeys(owners: readonly UserId[]): Promise<KeyRow[]>;
  /** Leaves a tombstone, even if there was no key. */
  destroyKey(owner: UserId): Promise<void>;
}

/** Claims to user names. */
export interface ClaimTable {
  /** Returns false if the id has a row already, be it a tombstone. */
  insertClaim(id: string, sealed: Sealed): Promise<boolean>;
  findClaim(id: string): Promise<ClaimRow | undefined>;
  markRegistered(id: string): Promise<void>;
  /** Compares and sets. Returns false if the stored value is not `from`. */
  replaceClaim(id: string, from: Sealed, to: Sealed): Promise<boolean>;
  /** Turns the row into a tombstone. */
  eraseClaim(id: string): Promise<void>;
}

/** Erasures in progress. */
export interface ErasureTable {
  /** May be repeated. */
  insertErasure(erasure: ErasureRow): Promise<void>;
  listErasures(): Promise<ErasureRow[]>;
  /** May be repeated. */
  removeErasure(owner: UserId): Promise<void>;
}

/** Keys that sign tree heads. */
export interface SigningKeyTable {
  /** Returns false if a key has this number already. */
  insertSigningKey(key: SigningKeyRow): Promise<boolean>;
  listSigningKeys(): Promise<SigningKeyRow[]>;
}

/** Signed tree heads, one a partition. */
export interface HeadTable {
  listHeads(): Promise<HeadRow[]>;
  findHead(partition: number): Promise<HeadRow | undefined>;
  /** Compares and sets. Returns false if the stored note is not `from`; null means that none is stored. */
  replaceHead(from: string | null, to: HeadRow): Promise<boolean>;
  /** Keeps an abandoned head for ever. May be repeated. */
  keepAbandonedHead(head: HeadRow): Promise<void>;
}

/** Sign-in sessions. */
export interface SessionTable {
  /** Also deletes the user's oldest ended sessions beyond `MAX_ENDED_SESSIONS`. */
  insertSession(session: SessionRow): Promise<void>;
  findSession(id: string): Promise<SessionRow | undefined>;
  /** Keeps the time of the first end. */
  endSession(id: string, at: string): Promise<void>;
  /** Ends the user's open sessions except `except`. Returns their ids. */
  endSessions(userId: UserId, except: string | null, at: string): Promise<string[]>;
  /**
   * Returns the sessions that any process ended within the last `lastMs`, or slightly before. Uses the
   * database's clock, so that consecutive polls miss none. Undefined means that no other process uses this
   * store.
   */
  listRecentlyEnded(lastMs: number): Promise<string[] | undefined>;
  /** Returns the user's sessions, newest first. */
  listSessions(userId: UserId): Promise<SessionRow[]>;
}

/**
 * The storage engine of the vault: rows under keys, without cryptography. A write is durable once it resolves. A read
 * sees every write that has resolved. After an error the outcome is unknown.
 */
export interface VaultStore
  extends KeyTable,
    ClaimTable,
    ErasureTable,
    SigningKeyTable,
    HeadTable,
    SessionTable {
  /** Stores the value if the name has none. Returns the stored value. */
  insertIfAbsent(name: string, value: string): Promise<string>;
  close(): Promise<void>;
}
