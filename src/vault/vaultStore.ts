import type { Sealed } from '../domain/fields.js';
import type { KeyId, UserId, WriterInRoom } from '../domain/ids.js';

export interface KeyRow {
  readonly owner: UserId;
  /** The person's own key, sealed. Null is a tombstone. */
  readonly own: Uint8Array | null;
}

/** The whole row of a person. */
export interface PersonRow extends KeyRow {
  /** 1, 2, 3 …: the version of `roots`. */
  readonly version: number;
  /** The roots of the trees of text keys, sealed. Null is a tombstone. */
  readonly roots: Uint8Array | null;
}

/** What is left of a writer's text keys in a room in which a text of theirs was destroyed. */
export interface RoomRow extends WriterInRoom {
  /** 1, 2, 3 … */
  readonly version: number;
  readonly sealed: Uint8Array;
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
  /** The server key that has asked for it. */
  readonly via: KeyId | null;
}

/** The newest signed head of a partition. */
export interface HeadRow {
  readonly partition: number;
  /** The position of the commit at this head. */
  readonly position: number;
  readonly size: number;
  /** SHA-256 in base64. */
  readonly root: string;
  /** The hash of the commit, SHA-256 in base64. */
  readonly hash: string;
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
  /** Null for a session of Parley's own; else that of an issuer's token, with a hash of its `sid` or the empty text. */
  readonly issued: string | null;
}

/** Sessions kept per user after they ended or expired, the newest ones. */
export const MAX_ENDED_SESSIONS = 100;

/** Keys of people and of their texts, sealed. What is replaced or destroyed is left in no file of this store. */
export interface KeyTable {
  /** Stores version 1. Returns false if the owner has a row already, be it a tombstone. */
  insertKey(owner: UserId, own: Uint8Array, roots: Uint8Array): Promise<boolean>;
  /** Returns the existing rows of these owners, in any order. */
  findKeys(owners: readonly UserId[]): Promise<KeyRow[]>;
  /** Leaves a tombstone, even if there was no key, and removes the rows of the owner's rooms. */
  destroyKey(owner: UserId): Promise<void>;
  /** As `findKeys`, with the roots. */
  findPeople(owners: readonly UserId[]): Promise<PersonRow[]>;
  /** Compares and sets. Returns false if the version is not `from`; else the new one is `from` + 1. */
  replaceRoots(owner: UserId, from: number, roots: Uint8Array): Promise<boolean>;
  /** Returns the existing rows of these rooms, in any order. */
  findRooms(rooms: readonly WriterInRoom[]): Promise<RoomRow[]>;
  /** Compares and sets. Returns false if the stored version is not `row.version` − 1; 0 means that none is stored. */
  replaceRoom(row: RoomRow): Promise<boolean>;
  /** Removes from the files what an interrupted `replace…` or `destroy…` has left there. */
  removeReplaced(): Promise<void>;
}

/** Numbers that only grow. One that was never raised is 0. */
export interface NumberTable {
  findNumber(name: string): Promise<number>;
  /** Returns false, and changes nothing, if the number is at least `to`. */
  raiseNumber(name: string, to: number): Promise<boolean>;
}

/** A text that a report keeps although its message may be deleted, until the report is decided. */
export interface HoldRow extends WriterInRoom {
  /** See `reportName`. */
  readonly report: string;
  readonly seq: number;
  /** The partition of the room. */
  readonly partition: number;
  /** Milliseconds since 1970; 0 once the report is decided. From then on it keeps nothing. */
  readonly until: number;
  /** Whether the message was deleted meanwhile: its key is destroyed when no report keeps it any more. */
  readonly isDeleted: boolean;
}

/** A text that is deleted for all but moderators. */
export type DeletedHold = WriterInRoom & Pick<HoldRow, 'seq'>;

/** Names a hold among all. */
export const holdId = ({
  roomId,
  seq,
  report,
}: Pick<HoldRow, 'roomId' | 'seq'> & { report: string }): string => `${roomId}/${seq}/${report}`;

/** The texts that reports keep. */
export interface HoldTable {
  /** A hold that exists stays as it is. */
  insertHolds(holds: readonly HoldRow[]): Promise<void>;
  /** Marks what is kept after `now` as deleted. Returns the `seq`s that are kept. Each hold is either marked or ended before. */
  markHeld(roomId: string, seqs: readonly number[], now: number): Promise<number[]>;
  /** Ends the holds of a report. May be repeated. */
  endHolds(report: string): Promise<void>;
  findHoldsOf(report: string): Promise<HoldRow[]>;
  findHoldsIn(roomId: string, seqs: readonly number[]): Promise<HoldRow[]>;
  /** The texts in these rooms that were deleted while a report kept them. */
  findDeletedHolds(roomIds: readonly string[]): Promise<DeletedHold[]>;
  /** Holds of these partitions that have ended by `now`, at most `limit`. */
  listEndedHolds(partitions: readonly number[], now: number, limit: number): Promise<HoldRow[]>;
  /** Removes the holds of a text that have ended by `now`. */
  removeEndedHolds(roomId: string, seq: number, now: number): Promise<void>;
  /** By `holdId`, behind `after`. */
  pageHolds(after: string, limit: number): Promise<HoldRow[]>;
}

/** A subscription of the host's server: where it goes, and what signs it. Sealed. */
export interface SubscriptionRow {
  readonly id: string;
  /** 1, 2, 3 … */
  readonly version: number;
  readonly sealed: Sealed;
}

/** How far a subscription is in one partition. */
export interface DeliveryRow {
  readonly subscription: string;
  readonly partition: number;
  /** Another one after each write. */
  readonly tag: string;
  /** JSON: see `Progress` of `subscriptionStore.ts`. */
  readonly progress: string;
}

/** Subscriptions, and a row for each of their partitions. */
export interface SubscriptionTable {
  listSubscriptions(): Promise<SubscriptionRow[]>;
  /** Returns false if the id has a row already. */
  insertSubscription(row: SubscriptionRow): Promise<boolean>;
  /** Compares and sets. Returns false if the stored version is not `row.version` − 1. */
  replaceSubscription(row: SubscriptionRow): Promise<boolean>;
  /** Removes its deliveries too. May be repeated. */
  removeSubscription(id: string): Promise<void>;
  /** Returns the rows of a subscription by partition. */
  listDeliveries(subscription: string): Promise<DeliveryRow[]>;
  /** Stores the row, whatever was stored. */
  putDelivery(row: DeliveryRow): Promise<void>;
  /** Compares and sets. Returns false if the stored tag is not `from`. */
  replaceDelivery(row: DeliveryRow, from: string): Promise<boolean>;
  /**
   * The same without waiting for a disk. The write outlives the process. A loss of power, or of a primary, may take it
   * back, but never one that another write has followed that is durable.
   */
  replaceDeliverySoon(row: DeliveryRow, from: string): Promise<boolean>;
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

/** A server key of the host application. */
export interface ServerKeyRow {
  readonly id: string;
  /** Of the operator's choice. */
  readonly name: string;
  readonly scopes: readonly string[];
  /** The SHA-256 of the key in hex. */
  readonly hash: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly revokedAt: string | null;
}

/** Server keys. A revoked one is kept, so that what it did can be told. */
export interface ServerKeyTable {
  /** Returns false if the id has a row already. */
  insertServerKey(key: ServerKeyRow): Promise<boolean>;
  findServerKey(hash: string): Promise<ServerKeyRow | undefined>;
  /** In the order of their creation. */
  listServerKeys(): Promise<ServerKeyRow[]>;
  /** Keeps the time of the first revocation. */
  revokeServerKey(id: string, at: string): Promise<void>;
}

/** Sign-in sessions. */
export interface SessionTable {
  /**
   * Returns false if the id has a row already. Also deletes the user's oldest ended sessions beyond
   * `MAX_ENDED_SESSIONS`, but not those of tokens that have not expired: these must stay ended.
   */
  insertSession(session: SessionRow): Promise<boolean>;
  findSession(id: string): Promise<SessionRow | undefined>;
  /** Keeps the time of the first end. */
  endSession(id: string, at: string): Promise<void>;
  /** Ends the user's open sessions except `except`. Returns their ids. */
  endSessions(userId: UserId, except: string | null, at: string): Promise<string[]>;
  /** Ends the open sessions of issued tokens: a user's that were created until `upTo`. Returns their ids. */
  endIssuedTo(userId: UserId, upTo: string, at: string): Promise<string[]>;
  /** Ends the open sessions of tokens with this `issued`, of any user. Returns their ids. */
  endIssuedAs(issued: string, at: string): Promise<string[]>;
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
 * The storage engine of the vault: rows under keys, without cryptography. A write is durable once it resolves, unless its
 * comment differs. A read sees every write that has resolved. After an error the outcome is unknown.
 */
export interface VaultStore
  extends KeyTable,
    NumberTable,
    HoldTable,
    SubscriptionTable,
    ClaimTable,
    ErasureTable,
    SigningKeyTable,
    HeadTable,
    ServerKeyTable,
    SessionTable {
  /** Stores the value if the name has none. Returns the stored value. */
  insertIfAbsent(name: string, value: string): Promise<string>;
  close(): Promise<void>;
}
