import type { Moment } from '../domain/commands.js';
import type { Scene } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';
import type { Chat, Message, OnlineInfo, User } from '../domain/userMessageChat.js';

export interface PageRequest {
  /** A `seq`, exclusive. Give `before` or `after`, not both. */
  readonly before?: number;
  readonly after?: number;
  readonly limit: number;
}

/** A stream of a user that has changed since an offset. Replays visit the streams in the order of `key`. */
export interface ChangedStream {
  /** `room:<id>`. A replay's cursor names the stream that it visited last. */
  readonly key: string;
}

/**
 * The reads of the gateway and of HTTP, with opened texts and the same on both engines. Each one waits until
 * its models have folded all of `at`, which may be empty. It rejects with `overloaded` after 5 s.
 */
export interface Queries {
  /** The users that exist, erased ones included. */
  users(ids: readonly UserId[], at: readonly Moment[]): Promise<Map<UserId, User>>;
  friends(userId: UserId, at: readonly Moment[]): Promise<User[]>;
  /** Users by name: an exact match, then prefixes, then the rest. Leaves out `me` and `me`'s friends. */
  search(me: UserId, q: string, limit: number, at: readonly Moment[]): Promise<User[]>;
  /**
   * The user's active chats, newest activity first. `next` is opaque; throws `bad_request` if it was altered.
   */
  activeChats(
    userId: UserId,
    page: { limit: number; next?: string },
    at: readonly Moment[],
  ): Promise<{ chats: Chat[]; next?: string }>;
  /** The chat as `userId` sees it; undefined unless the room exists and the user is a member. */
  chat(roomId: RoomId, userId: UserId, at: readonly Moment[]): Promise<Chat | undefined>;
  /** The members of a room, who never change; undefined if there is no such room. */
  members(roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined>;
  /** The members for whom the chat is active; none if there is no such room. An active chat stays active. */
  activeFor(roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[]>;
  /** Messages in ascending `seq`; `hasMore` is about the direction asked. */
  messages(
    roomId: RoomId,
    page: PageRequest,
    at: readonly Moment[],
  ): Promise<{ messages: Message[]; hasMore: boolean }>;
  /** Whether the user has the role of an auditor. */
  isAuditor(userId: UserId, at: readonly Moment[]): Promise<boolean>;
  /** Friends, and users who share a chat with a message with this user. */
  contacts(userId: UserId, at: readonly Moment[]): Promise<Set<UserId>>;
  /** Presence of these users; offline with `lastSeen: null` if never seen. */
  presence(ids: readonly UserId[], at: readonly Moment[]): Promise<Map<UserId, OnlineInfo>>;
  /**
   * Erased users whose key still exists, with their names, a page at a time. There are some only during an
   * erasure, or after the vault was restored from an older backup.
   */
  openedErased(): AsyncIterable<ReadonlyMap<UserId, string>>;
  /** A page of the users who are online as of the read model, in the order of their ids, behind `after`. */
  online(limit: number, after?: UserId): Promise<UserId[]>;
  /**
   * The user's streams of one partition with a row offset above `above`, by key, behind `after`, at most
   * `limit`. Replays use it.
   */
  changedStreams(
    userId: UserId,
    partition: number,
    above: number,
    page: { after?: string; limit: number },
    at: readonly Moment[],
  ): Promise<ChangedStream[]>;
  /**
   * The events of one stream with a stored push to the user and `above < offset ≤ upTo`, in order, at most
   * `limit`. `hasMore` tells that there are more. Of pushes with `onlyNewest` it has only the newest one, and
   * none whose newest lies above `upTo`.
   */
  missedEvents(userId: UserId, key: string, range: OffsetRange, limit: number): Promise<MissedEvents>;
}

/** Offsets of a partition: `above` exclusive, `upTo` inclusive. */
export interface OffsetRange {
  /** Above which the whole replay began. A message from behind it is sent as it is now, and its changes are not. */
  readonly since: number;
  readonly above: number;
  readonly upTo: number;
}

/** An event that a user has missed, and what its push needs beside it. */
export interface MissedEvent {
  readonly event: Recorded;
  readonly scene: Scene;
}

export interface MissedEvents {
  readonly events: readonly MissedEvent[];
  readonly hasMore: boolean;
}

/** Progress of the read models; see `progressTracker.ts`. */
export interface Progress {
  /**
   * Resolves when `model` has folded the moment, and asks the projector to write. Rejects with `overloaded`
   * after 5 s.
   */
  waitFor(model: string, moment: Moment): Promise<void>;
  /** The age of the oldest unfolded commit in milliseconds; 0 when all are folded. */
  lagMs(): number;
  /** The tree size that `model` has folded of the partition. */
  folded(model: string, partition: number): number;
  /** Calls the handler whenever a model has advanced; returns a function that removes it. */
  onAdvance(handler: (model: string, partition: number, size: number) => void): () => void;
}
