import type { ClientError } from '../clientErrors.js';
import type { ClientOptions } from '../options.js';
import type { OutboxStore } from '../outbox.js';
import type { Rest } from '../rest.js';
import type { ClientState, Message, User } from '../types.js';

/** What a store needs: the options of its client, and where else to ask. */
export interface StoreOptions extends ClientOptions {
  /** Of the same server as `url`. */
  readonly rest: Rest;
  /** Where unsent messages outlive the page or process; one user's only. Default: in memory. */
  readonly outbox?: OutboxStore;
  /** Milliseconds since 1970; says when a message was queued. Default: `Date.now`. */
  readonly now?: () => number;
  /** The UUID of the next message; default: UUIDv7, which keeps the server's index of ids small to write. */
  readonly newId?: () => string;
}

/** Whether somebody is there, as far as this device was told. */
export type Presence =
  /** Not told: nobody asked yet, or they are no contact, or erased. */
  | { readonly state: 'unknown' }
  | { readonly state: 'online' }
  /** `lastSeen` is an ISO 8601 time. */
  | { readonly state: 'offline'; readonly lastSeen: string };

/** One line in the list of chats. */
export interface ChatView {
  readonly roomId: string;
  /** The other member; `erased`, with no name, once they have been erased. */
  readonly other: User;
  readonly lastMessage: Message | null;
  /** Messages beyond this user's mark. */
  readonly unread: number;
  readonly presence: Presence;
  /** Whether the other member is typing; ends by itself 8 s after it was last said. */
  readonly isTyping: boolean;
  /** An ISO 8601 time: when the last message was sent, or when the chat began. */
  readonly lastActivity: string;
}

/** All that a store knows, at one moment. Whatever did not change since keeps its identity. */
export interface Snapshot {
  readonly connection: ClientState;
  /** Known once the first connection has identified. */
  readonly me: User | undefined;
  /** Whether chats and friends have come at least once. */
  readonly loaded: boolean;
  /** Newest activity first. */
  readonly chats: readonly ChatView[];
  /** Whether `moreChats` would bring older ones. */
  readonly hasMoreChats: boolean;
  /** By name. */
  readonly friends: readonly User[];
  /** Unread messages of all chats that are known. */
  readonly unread: number;
}

/** A message as its room shows it. */
export type Entry =
  /** On its way: it will be sent, over any number of reconnects, until it is answered. */
  | {
      readonly state: 'sending';
      readonly messageId: string;
      readonly message: string;
      readonly replyTo?: string;
      /** An ISO 8601 time. */
      readonly queuedAt: string;
    }
  /** Not sent, and it will not be: `retry` or `discard` it. */
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
      /** Whether the other member's mark has reached it: to show on one's own messages. */
      readonly isRead: boolean;
    };

/** How much of a room's past is here. */
export type HistoryState =
  /** A page is on its way. */
  | { readonly state: 'loading' }
  /** There are older messages: `earlier` brings them. */
  | { readonly state: 'more' }
  /** The room's first message is here, or it has none. */
  | { readonly state: 'whole' }
  /** The last page could not be had; `earlier`, or the next connection, tries again. */
  | { readonly state: 'failed'; readonly error: ClientError };

/** All that is known of an open room, at one moment. Whatever did not change since keeps its identity. */
export interface RoomView {
  readonly roomId: string;
  /** Undefined until the chat is known: it came with the list of chats, or `openChat` asked for it. */
  readonly other: User | undefined;
  /** The stored ones by `seq`, without a gap from the oldest here to the newest, then the unsent in order. */
  readonly entries: readonly Entry[];
  readonly history: HistoryState;
  /** The `seq` up to which this user has read, as last wished on this device or told by another. */
  readonly myMark: number;
  /** The `seq` up to which the other member has read. */
  readonly otherMark: number;
}

/** The history of one room, while somebody looks at it. */
export interface Room {
  /** The present view; the same object until something of it changes. */
  get(): RoomView;
  /** Calls `listener` after changes of the view, once for those of one turn; what it returns stops that. */
  subscribe(listener: () => void): () => void;
  /**
   * Fetches one more page back; a call while one is on its way joins it. It never rejects: `history`
   * says what came of it.
   */
  earlier(): Promise<void>;
  /**
   * Sends a message, shown at once as an entry that is `sending`; never throws or rejects, the
   * entry's state tells.
   * @param replyTo the `messageId` of an earlier message of this room
   */
  send(text: string, replyTo?: string): Entry;
  /** Sends a refused entry again, under the same id. */
  retry(messageId: string): void;
  /** Forgets a refused entry. */
  discard(messageId: string): void;
  /** Marks all up to this `seq` as read: shown at once, told to the server when there is a connection. */
  read(upTo: number): void;
  /** Says that this user types (to be called as often as they do; told at most every 3 s) or stopped. */
  typing(isTyping: boolean): void;
  /** Lets go of the history. What is unsent is sent all the same. */
  close(): void;
}

/** What one signed-in device knows, to be shown: chats, friends, presence, and rooms that are open. */
export interface Store {
  /** The present snapshot; the same object until something of it changes. For `useSyncExternalStore`. */
  get(): Snapshot;
  /** Calls `listener` after changes, once for those of one turn; what it returns stops that. */
  subscribe(listener: () => void): () => void;
  /** Connects, and sends what an earlier run left unsent. Nothing happens before. */
  start(): void;
  /** As `Client.retry`. */
  retry(): void;
  /** Ends the connection and every timer, for good. What is unsent stays in the outbox. */
  close(): void;
  /** The history of one room, whose newest page is fetched; the same object until it is closed. */
  openRoom(roomId: string): Room;
  /** Makes two people friends; rejects with a `ClientError`, `not_found` for a user who is gone. */
  addFriend(userId: string): Promise<User>;
  /** The chat with somebody, begun if there was none; rejects with a `ClientError`. */
  openChat(userId: string): Promise<ChatView>;
  /**
   * People by any part of their name, without friends, this device's newest ones included; rejects
   * with a `ClientError`.
   */
  searchPeople(q: string): Promise<readonly User[]>;
  /** Fetches one more page of older chats; a call while one is on its way joins it. */
  moreChats(): Promise<void>;
  /** Whether somebody looks at this device. A device begins active. */
  setActive(isActive: boolean): void;
}
