import type { ClientOptions } from '../options.js';
import type { OutboxStore } from '../outbox.js';
import type { Rest } from '../rest.js';
import type { ClientError, ClientState, Message, User } from '../types.js';

/** The options of the store's client, and its own. */
export interface StoreOptions extends ClientOptions {
  /** The REST client of the same server as `url`. */
  readonly rest: Rest;
  /** Keeps unsent messages over restarts, of one user only. Default: in memory. */
  readonly outbox?: OutboxStore;
  /** Milliseconds since 1970, for the time at which a message is queued. Default: `Date.now`. */
  readonly now?: () => number;
  /** Makes the UUID of a message; default: UUIDv7, which costs the server's index the least. */
  readonly newId?: () => string;
}

/** Whether a user is online, as far as this device knows. */
export type Presence =
  /** Not asked yet, or the user is no contact, or erased. */
  | { readonly state: 'unknown' }
  | { readonly state: 'online' }
  /** `lastSeen` is an ISO 8601 time. */
  | { readonly state: 'offline'; readonly lastSeen: string };

/** One line in the list of chats. */
export interface ChatView {
  readonly roomId: string;
  /** The other member; after their erasure `erased`, without a name. */
  readonly other: User;
  readonly lastMessage: Message | null;
  /** Messages beyond this user's mark. */
  readonly unread: number;
  readonly presence: Presence;
  /** Whether the other member is typing; false again 8 s after the last push of it. */
  readonly isTyping: boolean;
  /** An ISO 8601 time: when the last message was sent, or when the chat began. */
  readonly lastActivity: string;
}

/** Everything that a store knows, at one moment. Parts that do not change keep their identity. */
export interface Snapshot {
  readonly connection: ClientState;
  /** Undefined until the first connection has identified. */
  readonly me: User | undefined;
  /** Whether chats and friends were fetched at least once. */
  readonly isLoaded: boolean;
  /** Newest activity first. */
  readonly chats: readonly ChatView[];
  /** Whether `moreChats` would fetch older ones. */
  readonly hasMoreChats: boolean;
  /** By name. */
  readonly friends: readonly User[];
  /** Unread messages of all chats that are known. */
  readonly unread: number;
}

/** A message as its room shows it. */
export type Entry =
  /** Being sent, over any number of reconnects, until it is answered. */
  | {
      readonly state: 'sending';
      readonly messageId: string;
      readonly message: string;
      readonly replyTo?: string;
      /** An ISO 8601 time. */
      readonly queuedAt: string;
    }
  /** Not sent, until the user calls `retry`; `discard` removes it. */
  | {
      readonly state: 'refused';
      readonly messageId: string;
      readonly message: string;
      readonly replyTo?: string;
      /** An ISO 8601 time. */
      readonly queuedAt: string;
      readonly error: ClientError;
    }
  /** The server has it. */
  | {
      readonly state: 'stored';
      readonly message: Message;
      /** Whether the other member has read it; to be shown on one's own messages. */
      readonly isRead: boolean;
    };

/** How much of a room's history was fetched. */
export type HistoryState =
  /** A page is being fetched. */
  | { readonly state: 'loading' }
  /** There are older messages: `earlier` fetches them. */
  | { readonly state: 'more' }
  /** The room's first message is here, or the room has none. */
  | { readonly state: 'complete' }
  /** The last page could not be fetched; `earlier`, or the next connection, tries again. */
  | { readonly state: 'failed'; readonly error: ClientError };

/** Everything that is known of an open room, at one moment. Parts that do not change keep their identity. */
export interface RoomView {
  readonly roomId: string;
  /** Undefined until the chat is known, and for a room that is not one of this user's. */
  readonly other: User | undefined;
  /** Stored messages by `seq` and without a gap, then unsent ones in order. */
  readonly entries: readonly Entry[];
  readonly history: HistoryState;
  /** The `seq` up to which this user has read, on this device or another. */
  readonly myMark: number;
  /** The `seq` up to which the other member has read. */
  readonly otherMark: number;
}

/** The history of one open room. */
export interface Room {
  /** The present view; the same object until something of it changes. */
  get(): RoomView;
  /** Calls `listener` once after all changes of one turn. Returns the function that unsubscribes. */
  subscribe(listener: () => void): () => void;
  /** Fetches one more page back; a call during a fetch joins it. Never rejects: `history` has the error. */
  earlier(): Promise<void>;
  /**
   * Sends a message, which is shown at once as `sending`. Never throws: the entry's state has the error.
   * @param replyTo the `messageId` of an earlier message of this room
   */
  send(text: string, replyTo?: string): Entry;
  /** Sends a refused entry again, under the same id. */
  retry(messageId: string): void;
  /** Removes a refused entry. */
  discard(messageId: string): void;
  /** Marks all up to this `seq` as read: shown at once, and sent when there is a connection. */
  read(upTo: number): void;
  /** Call it with true as often as the user types (it sends at most every 3 s), with false when they stop. */
  typing(isTyping: boolean): void;
  /** Forgets the history. Unsent messages are still sent. */
  close(): void;
}

/** The state of one signed-in device, to be shown: chats, friends, presence, and open rooms. */
export interface Store {
  /** The present snapshot; the same object until something of it changes. For `useSyncExternalStore`. */
  get(): Snapshot;
  /** Calls `listener` once after all changes of one turn. Returns the function that unsubscribes. */
  subscribe(listener: () => void): () => void;
  /** Connects, and sends the unsent messages of an earlier run. */
  start(): void;
  /**
   * Resolves when chats and friends are here (`isLoaded`), at once if they are. Rejects with a `ClientError` when the
   * store has ended before.
   */
  loaded(): Promise<void>;
  /** As `Client.retry`. */
  retry(): void;
  /** Ends the connection and every timer for good. Unsent messages stay in the outbox. */
  close(): void;
  /** Opens a room and fetches its newest page; gives the same object until it is closed. */
  openRoom(roomId: string): Room;
  /** Adds a friend. Rejects with a `ClientError`: `not_found` for a user who does not exist or is erased. */
  addFriend(userId: string): Promise<User>;
  /** Opens the chat with a user, and begins it if there is none. Rejects with a `ClientError`. */
  openChat(userId: string): Promise<ChatView>;
  /**
   * Finds users by any part of their name, friends too: exact matches first, then those that begin with it. Rejects with
   * a `ClientError`.
   */
  searchPeople(q: string): Promise<readonly User[]>;
  /** Fetches one more page of older chats; a call during a fetch joins it. */
  moreChats(): Promise<void>;
  /** Tells whether the user looks at this device. A device begins as active. */
  setActive(isActive: boolean): void;
}
