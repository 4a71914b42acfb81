import type { Message, User } from '../types.js';
import { newestWithoutGap } from './folds.js';
import { type RoomState, reuseIfEqual, roomOf, type State } from './storeState.js';
import type { ChatView, Entry, HistoryState, Presence, RoomView, Snapshot } from './storeTypes.js';

const UNKNOWN: Presence = { state: 'unknown' };

/** The other member of a room, if its chat is known. */
export function otherOf(state: State, room: RoomState): User | undefined {
  const otherId = room.chat?.members.find((userId) => userId !== state.me?.userId);
  return otherId === undefined ? undefined : state.users.get(otherId);
}

/** How far this user has read, by the server or by a mark not sent yet. */
function myMark(state: State, room: RoomState): number {
  return Math.max(room.wishedMark, room.marks.get(state.me?.userId ?? '') ?? 0);
}

/** Makes snapshots of the state; unchanged parts are the same objects as in the last one. */
export class Snapshots {
  #state: State | undefined;
  #last: Snapshot | undefined;
  readonly #chats = new ChatList();

  of(state: State): Snapshot {
    if (this.#last === undefined || state !== this.#state) this.#last = this.#next(state, this.#last);
    this.#state = state;
    return this.#last;
  }

  #next(state: State, last: Snapshot | undefined): Snapshot {
    const before = this.#state;
    const isAsBefore = before?.friends === state.friends && before?.users === state.users;
    const chats = reuseIfEqual(last?.chats, this.#chats.of(state));
    return reuseIfEqual(last, {
      connection: state.connection,
      me: state.me,
      isLoaded: state.hasChats && state.hasFriends,
      chats,
      hasMoreChats: state.nextChats !== undefined,
      friends:
        last !== undefined && isAsBefore ? last.friends : reuseIfEqual(last?.friends, friendsOf(state)),
      unread: chats.reduce((sum, { unread }) => sum + unread, 0),
    });
  }
}

interface ChatLine {
  readonly room: RoomState;
  readonly began: string;
  readonly other: User;
  readonly presence: Presence;
  readonly mark: number;
  readonly view: ChatView;
}

/** The list of chats; makes only changed lines anew, as a push changes one of a thousand. */
class ChatList {
  #lines = new Map<string, ChatLine>();

  of(state: State): readonly ChatView[] {
    const next = new Map<string, ChatLine>();
    for (const room of state.rooms.values()) {
      const other = otherOf(state, room);
      if (room.chat === undefined || other === undefined) continue;
      const presence = state.presence.get(other.userId) ?? UNKNOWN;
      const mark = myMark(state, room);
      const line = this.#lines.get(room.roomId);
      const isAsBefore =
        line?.room === room && line.other === other && line.presence === presence && line.mark === mark;
      const parts = { room, began: room.chat.createdAt, other, presence, mark };
      next.set(
        room.roomId,
        isAsBefore ? line : { ...parts, view: reuseIfEqual(line?.view, chatView(parts)) },
      );
    }
    this.#lines = next;
    const views = [...next.values()].map(({ view }) => view);
    return views.sort((a, b) => compare(b.lastActivity, a.lastActivity) || compare(a.roomId, b.roomId));
  }
}

function chatView({ room, began, other, presence, mark }: Omit<ChatLine, 'view'>): ChatView {
  const lastMessage = room.known.at(-1) ?? null;
  return {
    roomId: room.roomId,
    other,
    lastMessage,
    unread: Math.max(0, (lastMessage?.seq ?? 0) - mark),
    presence,
    isTyping: room.typing.has(other.userId),
    lastActivity: lastMessage?.sentAt ?? began,
  };
}

function friendsOf(state: State): readonly User[] {
  const friends = [...state.friends].flatMap((userId) => state.users.get(userId) ?? []);
  const name = ({ username }: User): string => (username ?? '').toLowerCase();
  return friends.sort((a, b) => compare(name(a), name(b)) || compare(a.userId, b.userId));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const LOADING: HistoryState = { state: 'loading' };
const MORE: HistoryState = { state: 'more' };
const COMPLETE: HistoryState = { state: 'complete' };

/** Makes views of one room; unchanged parts are the same objects as in the last one. */
export class RoomViews {
  readonly #roomId: string;
  readonly #read = new StoredEntries(true);
  readonly #unread = new StoredEntries(false);
  #state: State | undefined;
  #last: RoomView | undefined;

  constructor(roomId: string) {
    this.#roomId = roomId;
  }

  of(state: State): RoomView {
    if (this.#last === undefined || state !== this.#state) this.#last = this.#next(state, this.#last);
    this.#state = state;
    return this.#last;
  }

  #next(state: State, last: RoomView | undefined): RoomView {
    const room = roomOf(state, this.#roomId);
    const other = otherOf(state, room);
    const otherMark = room.marks.get(other?.userId ?? '') ?? 0;
    const messages = newestWithoutGap(room.known);
    const stored = messages.map((message) =>
      (message.seq <= otherMark ? this.#read : this.#unread).entry(message),
    );
    const unsent = [...state.unsent.values()].flatMap(({ roomId, entry }) =>
      roomId === room.roomId ? [entry] : [],
    );
    const history = historyOf(room, messages[0]);
    return reuseIfEqual(last, {
      roomId: room.roomId,
      other,
      entries: reuseIfEqual(last?.entries, [...stored, ...unsent]),
      history: reuseIfEqual(last?.history, history),
      myMark: myMark(state, room),
      otherMark,
    });
  }
}

function historyOf({ pages }: RoomState, oldest: Message | undefined): HistoryState {
  if (oldest?.seq === 1) return COMPLETE;
  if (pages === 'none' || pages === 'loading') return LOADING;
  if (pages !== 'some') return { state: 'failed', error: pages };
  return oldest === undefined ? COMPLETE : MORE;
}

/** The entry of each stored message, made once. */
class StoredEntries {
  readonly #entries = new WeakMap<Message, Entry>();
  readonly #isRead: boolean;

  constructor(isRead: boolean) {
    this.#isRead = isRead;
  }

  entry(message: Message): Entry {
    const known = this.#entries.get(message);
    if (known) return known;
    const entry: Entry = { state: 'stored', message, isRead: this.#isRead };
    this.#entries.set(message, entry);
    return entry;
  }
}
