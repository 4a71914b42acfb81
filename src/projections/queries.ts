import type { Moment } from '../domain/commands.js';
import type { Chat, Message, OnlineInfo, User } from '../domain/contract.js';
import type { RoomId, UserId } from '../domain/ids.js';

export interface PageRequest {
  /** `seq`, exclusive; not both. */
  readonly before?: number;
  readonly after?: number;
  readonly limit: number;
}

/** What happened to one stream of a user since an offset, for a replay. In the order of `key`. */
export interface ChangedStream {
  /** `friendship:<id>` or `room:<id>`; a replay's cursor names the last one visited. */
  readonly key: string;
}

/**
 * Everything that is read, opened and as a client gets it, the same on both engines. Each waits until its
 * models have folded all of `at` (`overloaded` after 5 s); `at` may be empty.
 */
export interface Queries {
  /** Those that exist, erased ones included. */
  users(ids: readonly UserId[], at: readonly Moment[]): Promise<Map<UserId, User>>;
  friends(userId: UserId, at: readonly Moment[]): Promise<User[]>;
  /** Exact, then prefix, then the rest; not `me`, not my friends. */
  search(me: UserId, q: string, limit: number, at: readonly Moment[]): Promise<User[]>;
  /** Chats active for the user, newest activity first; `next` is opaque (throws `bad_request` if altered). */
  activeChats(
    userId: UserId,
    page: { limit: number; next?: string },
    at: readonly Moment[],
  ): Promise<{ chats: Chat[]; next?: string }>;
  /** As `userId` sees it; undefined unless a member of a room that exists. */
  chat(roomId: RoomId, userId: UserId, at: readonly Moment[]): Promise<Chat | undefined>;
  /** The members of a room; undefined if there is none. Members never change. */
  members(roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined>;
  /** Those of them for whom the chat is active; it stays so. None if there is no such room. */
  activeFor(roomId: RoomId, at: readonly Moment[]): Promise<readonly UserId[]>;
  /** Ascending `seq`; `hasMore` is about the direction asked. */
  messages(
    roomId: RoomId,
    page: PageRequest,
    at: readonly Moment[],
  ): Promise<{ messages: Message[]; hasMore: boolean }>;
  /** Whether the user has the role of an auditor. */
  isAuditor(userId: UserId, at: readonly Moment[]): Promise<boolean>;
  /** Friends and those with whom the user shares a chat that has a message. */
  contacts(userId: UserId, at: readonly Moment[]): Promise<Set<UserId>>;
  /** Offline with `lastSeen: null` if never seen. */
  presence(ids: readonly UserId[], at: readonly Moment[]): Promise<Map<UserId, OnlineInfo>>;
  /**
   * Of those who have been erased the ones whose key there still is, with their names, a page at a time: none, unless
   * their erasure is under way or the vault was restored from before it.
   */
  openedErased(): AsyncIterable<ReadonlyMap<UserId, string>>;
  /** Every user who is online as of the read model: for levelling after a start. */
  online(limit: number, after?: UserId): Promise<UserId[]>;
  /**
   * The user's streams of one partition with a row offset above `above`, by key, from behind `after`,
   * at most `limit`. For the replay's walk.
   */
  changedStreams(
    userId: UserId,
    partition: number,
    above: number,
    page: { after?: string; limit: number },
    at: readonly Moment[],
  ): Promise<ChangedStream[]>;
  /**
   * The stored pushes of one such stream to the user with `above < offset ≤ upTo`, in order of offset, at most
   * `limit` of them: `hasMore` says that there are more. Read marks only as the newest of each member.
   */
  changesSince(
    userId: UserId,
    key: string,
    above: number,
    upTo: number,
    limit: number,
  ): Promise<{ changes: StoredChange[]; hasMore: boolean }>;
}

/** A stored push as it is sent again. */
export type StoredChange = { readonly offset: number } & (
  | { readonly event: 'add friend'; readonly data: { friend: User } }
  | { readonly event: 'init chat'; readonly data: { room: Chat } }
  | { readonly event: 'send message'; readonly data: { message: Message } }
  | { readonly event: 'read messages'; readonly data: { roomId: RoomId; userId: UserId; upTo: number } }
  | { readonly event: 'erase user'; readonly data: { roomId: RoomId; userId: UserId } }
);

/** Waits for read models: the projector's side tells how far each model is, see `waiter.ts`. */
export interface Progress {
  /** Resolves when `model` has folded the moment; asks the projector to flush; `overloaded` after 5 s. */
  waitFor(model: string, moment: Moment): Promise<void>;
  /** Milliseconds since the oldest commit that is not yet folded was recorded; 0 when all are. */
  lagMs(): number;
  /** Tree size that `model` has folded of the partition. */
  folded(model: string, partition: number): number;
  /** Called whenever some model has advanced. Returns the function that stops it. */
  onAdvance(handler: (model: string, partition: number, size: number) => void): () => void;
}
