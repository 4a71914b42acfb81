import type { KeyObject } from 'node:crypto';
import type { UserId } from '../domain/ids.js';
import type { HeadRow } from './vaultStore.js';

/** 32 bytes; a user's. Seals what they wrote. */
export type DataKey = Buffer;

/** A claim to a name, keyed by the HMAC of the normalised name: it is what makes names unique. */
export interface Credential {
  readonly userId: UserId;
  /** The name as it was typed; sealed at rest. */
  readonly username: string;
  readonly backgroundColor: string;
  readonly passwordHash: string;
  /** False until `UserRegistered` is known to be in the log; a sign-in then finishes the sign-up. */
  readonly registered: boolean;
}

export interface Session {
  readonly userId: UserId;
  /** Hex of the SHA-256 of the token: names the session without being able to use it. */
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface KeyStore {
  /** Makes the user's key if absent; at sign-up only. A destroyed key is never made again: throws. */
  create(owner: UserId): Promise<void>;
  /** Throws `VaultUnavailable` on anything but a key or a tombstone: an outage must not read as an erasure. */
  key(owner: UserId): Promise<DataKey | 'destroyed'>;
  /** Several at once; every owner asked for is in the answer. */
  keys(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>>;
  /** Leaves a tombstone; may be repeated. */
  destroy(owner: UserId): Promise<void>;
}

export interface CachedKeys extends KeyStore {
  /** Without waiting: what `key` or `keys` has answered in the last 5 s is there; undefined proves nothing. */
  cached(owner: UserId): DataKey | 'destroyed' | undefined;
  /** As `keys`, from the vault itself: for a cache of somebody else's, so that ages do not add up. */
  fresh(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>>;
}

export interface CredentialStore {
  /** Inserts the claim if the name is free, for ever; false if it is or was taken. Durable once resolved. */
  claim(name: string, credential: Credential): Promise<boolean>;
  find(name: string): Promise<Credential | 'erased' | undefined>;
  markRegistered(name: string): Promise<void>;
  /** Compare and set on the old hash: false if it has changed meanwhile. */
  changePassword(name: string, oldHash: string, newHash: string): Promise<boolean>;
  /** Keeps the claim, forgets everything in it. */
  erase(name: string): Promise<void>;
}

/** An erasure that was begun; it names its user's claim without telling the name. */
export interface BegunErasure {
  readonly userId: UserId;
  readonly claim: string;
}

/** Erasures from before their first step to after their last, so that one that is cut off is found and finished. */
export interface ErasureStore {
  /** May be repeated; durable once resolved. */
  begin(userId: UserId, username: string): Promise<BegunErasure>;
  list(): Promise<BegunErasure[]>;
  /** As `CredentialStore.erase`, by what `begin` kept. */
  eraseClaim(erasure: BegunErasure): Promise<void>;
  /** It is done, or nothing of it was. */
  end(userId: UserId): Promise<void>;
}

/** What was signed of a partition. */
export type SignedHead = HeadRow;

/** The newest signed head of each partition, which only grows. Durable once resolved. */
export interface HeadStore {
  list(): Promise<SignedHead[]>;
  get(partition: number): Promise<SignedHead | undefined>;
  /** Compare and set; false if `from` is not the newest any more. Throws `RangeError` unless `to` is larger. */
  advance(from: SignedHead | undefined, to: SignedHead): Promise<boolean>;
  /** An operator gives a head up for one of the log as it is now; the old one is kept beside. Compare and set. */
  replaceAbandoned(from: SignedHead, to: SignedHead): Promise<boolean>;
}

/** The Ed25519 keys that sign heads. */
export interface SigningKeys {
  /** Private keys, the one in use first; the first is made when it is first asked for. */
  list(): Promise<readonly [KeyObject, ...KeyObject[]]>;
  /** A new key is in use from here on; the old ones stay, to verify what they have signed. */
  rotate(): Promise<void>;
}

export interface SessionStore {
  /** A new session: its token is 256 random bits in base64url, stored hashed. Durable once resolved. */
  create(userId: UserId, now: Date, ttlMs: number): Promise<{ token: string; session: Session }>;
  /**
   * Undefined when unknown, ended or expired at `now`. Cached for seconds at most, never past an end said here, nor
   * for more than a second past any other.
   */
  find(token: string, now: Date): Promise<Session | undefined>;
  revoke(id: string): Promise<void>;
  /** Ends all of a user's, but one if given; answers the ids that ended. */
  revokeAll(userId: UserId, except?: string): Promise<string[]>;
  /** All of a user's sessions, ended ones included while they are kept. */
  list(userId: UserId): Promise<(Session & { endedAt?: string })[]>;
  /** Another process has ended these: as told by it, before the vault is looked through. */
  noteRevoked(ids: readonly string[]): void;
  /**
   * Called with the session's id once after each end, within a second whichever process it was asked of, while the
   * vault answers; returns the function that stops it.
   */
  onRevoked(handler: (id: string) => void): () => void;
}

export interface Vault {
  readonly keys: KeyStore;
  readonly credentials: CredentialStore;
  readonly sessions: SessionStore;
  readonly erasures: ErasureStore;
  close(): Promise<void>;
}

/** The user's key was destroyed: they are erased, and no key is made for them again. */
export class KeyDestroyed extends Error {
  override readonly name = 'KeyDestroyed';
}

/** bcrypt in a thread of its own, behind a bounded queue. Passwords are compared whole. */
export interface Passwords {
  /** Throws `Overloaded` when the queue is full. */
  hash(password: string): Promise<string>;
  /** Takes the same time for `undefined` (no such user), and is then false. */
  verify(password: string, hash: string | undefined): Promise<boolean>;
  /** How many wait. */
  readonly waiting: number;
  close(): Promise<void>;
}
