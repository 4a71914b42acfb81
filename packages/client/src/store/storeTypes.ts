import type { ClientOptions } from '../options.js';
import type { MessageOptions, OutboxEntry, OutboxStore } from '../outbox.js';
import type { ProfileChanges, Rest } from '../rest.js';
import type {
  Chat,
  Client,
  ClientError,
  ClientState,
  CursorStore,
  Message,
  Preferences,
  RequestAnswer,
  RequestInput,
  User,
} from '../types.js';

/** The options of the store's client, and its own. */
export interface StoreOptions extends ClientOptions {
  /** Default: one of the same server. */
  readonly rest?: Rest;
  /**
   * What an earlier store of the same user knew: this one shows it at once. `cursors` must give the cursor of that moment
   * or an earlier one; without a cursor, the first connection replaces what is shown.
   */
  readonly begin?: StoreState | undefined;
  /** Keeps what is unsent over restarts, of one user only. Default: in memory. */
  readonly outbox?: OutboxStore;
  /** Milliseconds since 1970, for the time at which something is queued. Default: `Date.now`. */
  readonly now?: () => number;
  /** Makes the UUID of a message, edit or report; default: UUIDv7, which costs the server's index the least. */
  readonly newId?: () => string;
  /**
   * Called with each edit, deletion or reaction that the server refused, also of an earlier run. It is no longer shown.
   * A refused message stays in its room instead, as an entry.
   */
  readonly onRefused?: (entry: OutboxEntry, error: ClientError) => void;
}

/** Whether a user is online, as far as this device knows. */
export type Presence =
  /** Not asked yet, or the user is no contact, or erased. */
  | { readonly state: 'unknown' }
  | { readonly state: 'online' }
  /** `lastSeen` is an ISO 8601 time. */
  | { readonly state: 'offline'; readonly lastSeen: string };

/** What the contract's `Chat` has beside its members, last message and marks. */
export type ChatInfo = Omit<Chat, 'participants' | 'lastMessage' | 'unread' | 'readUpTo'>;

/** One line in a list of chats, with all fields of the contract's `Chat` that are not here under another name. */
export interface ChatView extends ChatInfo {
  /** Of a private chat the other member; after their erasure `erased`, without a name. */
  readonly other?: User;
  readonly lastMessage: Message | null;
  /** The last message is from somebody whom this user has blocked. */
  readonly lastIsBlocked?: true;
  /** Who sent the last message, as soon as that is known. */
  readonly sender?: User;
  /** Messages beyond this user's mark. */
  readonly unread: number;
  /** The `seq` of those that mention this user, ascending; the newest 100. */
  readonly mentions: number[];
  /** Of the other member. */
  readonly presence: Presence;
  /** Whether somebody else is typing; false again 8 s after the last push of it. */
  readonly isTyping: boolean;
  /** False in a group that this user has left. Its room can still be read. */
  readonly isMember: boolean;
  /** Whether this user has blocked the other member. */
  readonly isBlocked: boolean;
  /** An ISO 8601 time: when the last message was sent, or when the chat began. */
  readonly lastActivity: string;
}

/**
 * All data of a store at one moment, which is immutable: plain objects, lists, errors, `Map` and `Set`. Only stores read
 * it, as its form may change with each version.
 */
export interface StoreState {
  readonly me?: User | undefined;
}

/** Everything that a store shows, at one moment. Parts that do not change keep their identity. */
export interface Snapshot {
  readonly connection: ClientState;
  /** Undefined until the first connection has identified, unless it is kept. */
  readonly me: User | undefined;
  /** Whether chats, friends, blocked users and preferences were fetched at least once. */
  readonly isLoaded: boolean;
  /** Whether these are here from an earlier run (`StoreOptions.begin`), so that they can be shown before `isLoaded`. */
  readonly isKept: boolean;
  /** Those that are in no other list: pinned ones first, then the newest activity. */
  readonly chats: readonly ChatView[];
  /** Chats that somebody opened who is no contact of this user. */
  readonly requests: readonly ChatView[];
  /** Archived chats, as far as `moreArchived` has fetched them. */
  readonly archived: readonly ChatView[];
  /** Whether `moreChats` would fetch older ones. */
  readonly hasMoreChats: boolean;
  /** Whether `moreArchived` would fetch more. */
  readonly hasMoreArchived: boolean;
  /** By name. */
  readonly friends: readonly User[];
  /** Users whom this one has blocked, by name. */
  readonly blocked: readonly User[];
  /** Undefined until they are fetched. */
  readonly preferences: Preferences | undefined;
  /** Unread messages of `chats`. */
  readonly unread: number;
  /** Messages of all rooms that the server refused, and that are neither sent again nor discarded. */
  readonly refused: number;
}

interface Unsent extends MessageOptions {
  readonly messageId: string;
  readonly message: string;
  /** An ISO 8601 time. */
  readonly queuedAt: string;
}

/** A message as its room shows it. */
export type Entry =
  /** Being sent, over any number of reconnects, until it is answered. */
  | ({ readonly state: 'sending' } & Unsent)
  /** Not sent, until the user calls `retry`; `discard` removes it. */
  | ({ readonly state: 'refused'; readonly error: ClientError } & Unsent)
  /** The server has it. */
  | {
      readonly state: 'stored';
      /** With the edits, deletions and reactions of this device that are still being sent. */
      readonly message: Message;
      /** Undefined until they are known, as somebody who has left a group. */
      readonly sender: User | undefined;
      /** Whether all others have read it; to be shown on one's own messages. Of groups of more than 32 it is not told. */
      readonly isRead: boolean;
      /** The sender is somebody whom this user has blocked. */
      readonly blocked?: true;
      /** An edit, a deletion or a reaction of this device is not sent yet. */
      readonly isChanging?: true;
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

/** What changed in a group. */
export type GroupChange =
  | { readonly kind: 'joined' | 'left'; readonly userId: string }
  | {
      readonly kind: 'role';
      readonly userId: string;
      readonly role: NonNullable<Chat['role']>;
      /** Nobody chose them: they came next when the last owner left. */
      readonly inherited?: true;
    }
  /** The name is given only where it is the name that changed. */
  | { readonly kind: 'changed'; readonly name?: string };

/** A change of a group's members or settings, with its place. */
export type Happening = GroupChange & {
  /** The `seq` of the message behind which it happened; 0: before the first one. */
  readonly at: number;
  /** Who did it. */
  readonly by: string;
};

/** Everything that is known of an open room, at one moment. Parts that do not change keep their identity. */
export interface RoomView {
  readonly roomId: string;
  /** Undefined until the chat is known, and for a room that is not one of this user's. */
  readonly chat: ChatInfo | undefined;
  /** The other member of a private chat, once the chat is known. */
  readonly other: User | undefined;
  /** All members of a group of up to 32, this user among them; of a larger one those who are in it longest. */
  readonly participants: readonly User[];
  /** Who is typing beside this user. */
  readonly typing: readonly User[];
  /** False in a group that this user has left: it can be read, and nothing can be sent. */
  readonly isMember: boolean;
  /** A part of the history: stored messages by `seq` and without a gap. At its end unsent ones follow, in order. */
  readonly entries: readonly Entry[];
  /** Whether the newest message is among the entries. It is, until `show` leads to an earlier part of the history. */
  readonly isAtEnd: boolean;
  /** What is before the entries. */
  readonly history: HistoryState;
  /**
   * Who came and went, and what of a group was changed, in order. Only what this device was told since its store was
   * made: the server keeps no list for members.
   */
  readonly happenings: readonly Happening[];
  /** Those whom `happenings` name, as far as they are known: also who is no member any more. */
  readonly named: readonly User[];
  /** The `seq` up to which this user has read, on this device or another. */
  readonly myMark: number;
  /** The `seq` up to which all others have read; 0 in a group of more than 32. */
  readonly otherMark: number;
}

/** What is reported: messages of a room, a room or a user. */
export type ReportInput = Omit<RequestInput<'report'>, 'reportId'>;

/** The history of one open room. */
export interface Room {
  /** The present view; the same object until something of it changes. */
  get(): RoomView;
  /** Calls `listener` once after all changes of one turn. Returns the function that unsubscribes. */
  subscribe(listener: () => void): () => void;
  /**
   * Fetches one more page back, of 50 messages or of this number up to 200; a call during a fetch joins it. Never
   * rejects: `history` has the error.
   */
  earlier(limit?: number): Promise<void>;
  /**
   * Shows the part of the history with this message, by its id or `seq`, however far back it is; without one, the newest
   * part. Fetches one page around it: to go forward, show the `seq` behind the last entry.
   * Rejects with a `ClientError`, `not_found` if there is no message of this id.
   */
  show(message?: string | number): Promise<void>;
  /**
   * Sends a message, which is shown at once as `sending`, at the end of the history. Never throws: the entry's state has the error. In a group that
   * the user has left, the entry is refused at once with the reason `not_member`.
   */
  send(text: string, options?: MessageOptions): Entry;
  /** Sends a refused entry again, under the same id. */
  retry(messageId: string): void;
  /** Removes a refused entry. */
  discard(messageId: string): void;
  /**
   * Edits a message of this user, which shows the new text at once. As `delete` and `react`, it resolves when the server
   * has it, over any number of reconnects. When the server refuses it, it rejects with a `ClientError`, and the message
   * is shown as it was. After the end of the store, the next one sends it.
   */
  edit(messageId: string, text: string, mentions?: string[]): Promise<void>;
  /** Deletes a message, which shows at once that it is gone. As `edit`. */
  delete(messageId: string): Promise<void>;
  /** Adds or removes this user's reaction, at once. As `edit`; of several the last counts. */
  react(messageId: string, emoji: string, on: boolean): Promise<void>;
  /** All texts of a message, from the first one on. As `readers`, it rejects with a `ClientError`. */
  edits(messageId: string): Promise<RequestAnswer<'get edits'>['edits']>;
  /** Those who have read a message of a group, a page at a time; `next` is that of the page before. */
  readers(seq: number, next?: string): Promise<RequestAnswer<'get readers'>>;
  /** Marks all up to this `seq` as read: shown at once, and sent when there is a connection. */
  read(upTo: number): void;
  /** Call it with true as often as the user types (it sends at most every 3 s), with false when they stop. */
  typing(isTyping: boolean): void;
  /** Forgets the history. What is unsent is still sent. */
  close(): void;
}

/** The state of one signed-in device, to be shown: chats, friends, presence, and open rooms. */
export interface Store {
  /** The present snapshot; the same object until something of it changes. For `useSyncExternalStore`. */
  get(): Snapshot;
  /** Calls `listener` once after all changes of one turn. Returns the function that unsubscribes. */
  subscribe(listener: () => void): () => void;
  /** All that it knows, for `StoreOptions.begin` of the next store. */
  readonly state: {
    get(): StoreState;
    /** As the store's own `subscribe`, at every change. */
    subscribe(listener: () => void): () => void;
  };
  /** Connects, and sends what an earlier run left unsent. */
  start(): void;
  /**
   * Resolves with the first snapshot that has chats and friends (`isLoaded`), at once if they are here. Rejects with a
   * `ClientError` when the store has ended before.
   */
  readonly ready: Promise<Snapshot>;
  /** As `Client.retry`. */
  retry(): void;
  /** Ends the connection and every timer for good. What is unsent stays in the outbox. */
  close(): void;
  /** Opens a room and fetches its newest page; gives the same object until it is closed. */
  openRoom(roomId: string): Room;
  /**
   * Sends any request of the contract, as `Client.request`, and changes the store by its answer. So the store shows at
   * once what this device did: to change a chat or a group, accept, block, pin, list members, and so on.
   */
  readonly request: Client['request'];
  /** As `Client.on`, for pushes that no list here shows, such as changes of the roles of others. */
  readonly on: Client['on'];
  /** Adds a friend. Rejects with a `ClientError`: `not_found` for a user who does not exist or is erased. */
  addFriend(userId: string): Promise<User>;
  /** Opens the chat with a user, and begins it if there is none. Rejects with a `ClientError`. */
  openChat(userId: string): Promise<ChatView>;
  /** Changes the user's own profile. Rejects with a `ClientError`; `bad_request` names each wrong field. */
  changeProfile(changes: ProfileChanges): Promise<User>;
  /** Reports messages, a room or a user to the moderators. Rejects with a `ClientError`. */
  report(about: ReportInput): Promise<void>;
  /**
   * Finds users by any part of their name, friends too: exact matches first, then those that begin with it. Rejects with
   * a `ClientError`.
   */
  searchPeople(q: string): Promise<readonly User[]>;
  /** Fetches one more page of older chats; a call during a fetch joins it. */
  moreChats(): Promise<void>;
  /** Fetches one more page of archived chats; a call during a fetch joins it. */
  moreArchived(): Promise<void>;
  /** Tells whether the user looks at this device. A device begins as active. */
  setActive(isActive: boolean): void;
}

/** Keeps what a store knows over reloads of the page, in one record with its cursor. */
export interface StateKeeper {
  /** For `StoreOptions.begin`: what was kept; undefined if there is nothing that can be used. */
  readonly begin: StoreState | undefined;
  /** For `StoreOptions.cursors`, together with `begin`. */
  readonly cursors: CursorStore;
  /**
   * Writes the record about a second after each change of the store, and at once when the page is hidden. It ends with
   * the store: one that is signed out, or refuses the cursor, leaves no record. Call it before `start`.
   */
  readonly keep: (store: Pick<Store, 'state'>) => void;
}
