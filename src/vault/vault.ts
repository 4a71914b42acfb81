import type { KeyObject } from 'node:crypto';
import { SWEEP_MS } from '../base/collections.js';
import type { KeyId, UserId, WriterInRoom } from '../domain/ids.js';
import type { DataKey } from './dataKeys.js';
import type { Person, RoomKeys, Trees } from './textKeys.js';
import type { HeadRow, RoomRow } from './vaultStore.js';

export type { DataKey };

/** After this time no memory holds a destroyed key or a text of its owner. */
export const ERASED_WITHIN_MS = 60_000;
/** The lifetime of a cached key or text, so that expiry and removal fit into `ERASED_WITHIN_MS`. */
export const SECRET_TTL_MS = ERASED_WITHIN_MS - SWEEP_MS;

/** A claim to a user name, keyed by the HMAC of the normalised name. It makes names unique. */
export interface Credential {
  readonly userId: UserId;
  /** As typed. Sealed at rest. */
  readonly username: string;
  readonly backgroundColor: string;
  /** Absent for a user whom the host application or its issuer has made. */
  readonly passwordHash?: string;
  /** False until `UserRegistered` is known to be in the log. A sign-in then completes the sign-up. */
  readonly registered: boolean;
  /** A code that sets a new password once. */
  readonly reset?: PasswordReset;
}

/** A code with which a user sets a new password. */
export interface PasswordReset {
  /** The SHA-256 of the code, in hex. */
  readonly codeHash: string;
  /** ISO 8601. */
  readonly expiresAt: string;
}

export interface Session {
  readonly userId: UserId;
  /** The SHA-256 of the token in hex. It identifies the session, but does not authenticate. */
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface KeyStore {
  /** Creates the user's key if absent, at sign-up only. Throws `KeyDestroyed` if the key was destroyed. */
  create(owner: UserId): Promise<void>;
  /**
   * Throws `VaultUnavailable` unless it finds a key or a tombstone: an outage must not look like an erasure.
   */
  getKey(owner: UserId): Promise<DataKey | 'destroyed'>;
  /** Returns the key or tombstone of every owner in the list. */
  getKeys(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>>;
  /** Leaves a tombstone, and no key of the user's texts. May be repeated. */
  destroy(owner: UserId): Promise<void>;
  /**
   * Returns the keys of these writers' texts in these rooms by `roomKeysId`; `destroyed` if the writer is erased. Texts
   * that were deleted while a report kept them have none. Throws `VaultUnavailable` rather than guess.
   */
  getRoomKeys(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomKeys | 'destroyed'>>;
  /**
   * Destroys the keys of all revisions of these messages, in all generations up to the present one. Resolves when that
   * is durable and no file holds the keys. Repeat it after an error.
   */
  destroyTexts(room: WriterInRoom, seqs: readonly number[]): Promise<void>;
  /** As `getRoomKeys`, with the keys of texts that reports keep: for moderators alone. Read from the store. */
  fetchHeldKeys(room: WriterInRoom): Promise<RoomKeys | 'destroyed'>;
  /** Drops cached keys of a room in which a text was deleted while a report kept it. */
  forgetRoomKeys(room: WriterInRoom): void;
  /** Begins the next generation of text keys, in which a `seq` that was destroyed may be used again. Returns its number. */
  beginGeneration(): Promise<number>;
  /** The present generation of text keys; 0 until one was begun. */
  generation(): Promise<number>;
  /**
   * How many events of the partition's log have had the texts destroyed that they delete. It is 0 again in a new
   * generation, because a restored log may be shorter.
   */
  destructionProgress(partition: number): Promise<number>;
  /** Only grows: a smaller size changes nothing. Durable once resolved. */
  saveDestructionProgress(partition: number, size: number): Promise<void>;
}

export interface CachedKeys extends KeyStore {
  /**
   * Returns the key if `getKey` or `getKeys` returned it less than 5 s ago. Undefined does not mean that the key is
   * missing.
   */
  getCached(owner: UserId): DataKey | 'destroyed' | undefined;
  /** As `getKeys`, but read from the store: another thread's cache must not add its age to that of this one. */
  fetchKeys(owners: readonly UserId[]): Promise<Map<UserId, DataKey | 'destroyed'>>;
  /** As `getCached`, for `getRoomKeys`. */
  getCachedRoomKeys(room: WriterInRoom): RoomKeys | 'destroyed' | undefined;
  /** As `fetchKeys`, for `getRoomKeys`. */
  fetchRoomKeys(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomKeys | 'destroyed'>>;
}

/**
 * Reads the rows of keys as they are: it neither writes nor caches. Throws `VaultUnavailable` with a `CipherError` as its
 * cause where a row does not open.
 */
export interface KeyInspector {
  /** The people who have a row. */
  people(owners: readonly UserId[]): Promise<Map<UserId, Person | 'destroyed'>>;
  /** The rooms that have a row, by `roomKeysId`. */
  rooms(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomRow>>;
  /** What the row of a room holds. */
  treesIn(person: Person, row: RoomRow): Trees;
}

export interface CredentialStore {
  /** Inserts the claim if the name was never taken, else returns false. Durable once resolved. */
  claim(name: string, credential: Credential): Promise<boolean>;
  find(name: string): Promise<Credential | 'erased' | undefined>;
  /** Identifies the claim to a name, whether it was made or not, without revealing the name. */
  idOf(name: string): string;
  markRegistered(name: string): Promise<void>;
  /** Compares and sets. Returns false if the hash has changed. A code that was issued before sets nothing more. */
  changePassword(name: string, oldHash: string | undefined, newHash: string): Promise<boolean>;
  /** Stores a code in place of an earlier one. Returns false if the name has no claim. */
  setReset(name: string, reset: PasswordReset): Promise<boolean>;
  /** Uses the code up and sets the hash, in one step. Returns false unless the code is right and valid at `now`. */
  useReset(name: string, codeHash: string, newHash: string, now: Date): Promise<boolean>;
  /** Keeps the claim to the name and erases its content. */
  erase(name: string): Promise<void>;
}

/** An erasure in progress. It identifies the claim to the user's name without revealing the name. */
export interface BegunErasure {
  readonly userId: UserId;
  readonly claim: string;
  /** The server key that has asked for it. Each event of the erasure names it. */
  readonly via?: KeyId;
}

/**
 * Records an erasure from before its first step until after its last. So an interrupted one is found and
 * finished.
 */
export interface ErasureStore {
  /** May be repeated; the first `via` is kept. Durable once resolved. */
  begin(userId: UserId, username: string, via?: KeyId): Promise<BegunErasure>;
  list(): Promise<BegunErasure[]>;
  /** As `CredentialStore.erase`, for the claim that `begin` recorded. */
  eraseClaim(erasure: BegunErasure): Promise<void>;
  /** Called when all steps are done, or none was. */
  end(userId: UserId): Promise<void>;
}

/** A signed tree head of a partition. */
export type SignedHead = HeadRow;

/**
 * The newest signed head of each partition. It only grows, except by `replaceAbandoned`. Durable once
 * resolved.
 */
export interface HeadStore {
  list(): Promise<SignedHead[]>;
  get(partition: number): Promise<SignedHead | undefined>;
  /**
   * Compares and sets. Returns false if `from` is not the newest. Throws `RangeError` unless `to` is larger.
   */
  advance(from: SignedHead | undefined, to: SignedHead): Promise<boolean>;
  /**
   * Replaces the head by one of the present log, on an operator's order. Keeps the old one. Compares and
   * sets.
   */
  replaceAbandoned(from: SignedHead, to: SignedHead): Promise<boolean>;
}

/** The Ed25519 keys that sign heads. */
export interface SigningKeys {
  /** Returns the private keys, the current one first. The first call creates one. */
  list(): Promise<readonly [KeyObject, ...KeyObject[]]>;
  /** Creates a new current key. Old keys stay, to verify their signatures. */
  rotate(): Promise<void>;
}

/** A session of a token that the issuer has made, as it is stored. `sid`: the issuer's own session. */
export interface IssuedSession extends Omit<Session, 'id'> {
  readonly sid?: string;
}

/** Why sessions are revoked, where their devices are told. */
export const REVOCATION_CAUSES = ['password_changed'] as const;
export type RevocationCause = (typeof REVOCATION_CAUSES)[number];

export interface SessionStore {
  /** Creates a session. Its token is 256 random bits in base64url, stored hashed. Durable once resolved. */
  create(userId: UserId, now: Date, ttlMs: number): Promise<{ token: string; session: Session }>;
  /**
   * Returns undefined if the session is unknown, ended, or expired at `now`. May be cached for
   * `CACHE_TTL_MS`. A revocation takes effect at once here, and within 1 s if another process made it.
   */
  find(token: string, now: Date): Promise<Session | undefined>;
  /** As `find`, by the session's id, and read from the vault: never cached. */
  findById(id: string, now: Date): Promise<Session | undefined>;
  revoke(id: string): Promise<void>;
  /** The session of an issuer's token; `ended` once it is revoked or expired at `now`; undefined before `createIssued`. */
  findIssued(token: string, now: Date): Promise<Session | 'ended' | undefined>;
  /**
   * Stores the session of a verified token. If there is one already, it is returned, or undefined once it has ended.
   * Durable once resolved.
   */
  createIssued(token: string, session: IssuedSession): Promise<Session | undefined>;
  /**
   * Revokes the sessions of issued tokens: those of a user that were created until `upTo`, or those of a session of the
   * issuer. Returns the revoked ids.
   */
  revokeIssued(
    of: { readonly userId: UserId; readonly upTo: Date } | { readonly sid: string },
  ): Promise<string[]>;
  /** Revokes all sessions of a user except one. Returns the revoked ids. */
  revokeAll(userId: UserId, except?: string, why?: RevocationCause): Promise<string[]>;
  /** Returns all sessions of a user, including ended ones still kept. */
  list(userId: UserId): Promise<(Session & { endedAt?: string })[]>;
  /** Notes that another process has revoked these sessions, before the next poll finds out. */
  noteRevoked(ids: readonly string[], why?: RevocationCause): void;
  /**
   * Calls the handler once per revoked session, within 1 s whichever process revoked it, while the vault
   * answers. Returns the function that unsubscribes it. The cause is known where the session was revoked, and where
   * `noteRevoked` told it.
   */
  onRevoked(handler: (id: string, why?: RevocationCause) => void): () => void;
}

export interface Vault {
  readonly keys: KeyStore;
  readonly credentials: CredentialStore;
  readonly sessions: SessionStore;
  readonly erasures: ErasureStore;
  close(): Promise<void>;
}

/** The user's key was destroyed: the user is erased, and no new key is created. */
export class KeyDestroyed extends Error {
  override readonly name = 'KeyDestroyed';
}

/** bcrypt in its own thread, behind a bounded queue. All characters of a password count. */
export interface Passwords {
  /** Throws `overloaded` if the queue is full. */
  hash(password: string): Promise<string>;
  /**
   * Returns false for `undefined`, an unknown user. That takes as long as for a hash of the present cost or of a
   * smaller one. Throws `overloaded` if the queue is full.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>;
  /** Whether the hash has another cost than `BCRYPT_COST`, so that the password should be hashed again. */
  isOutdated(hash: string): boolean;
  /** The number of hashings waiting or running. */
  readonly waiting: number;
  close(): Promise<void>;
}
