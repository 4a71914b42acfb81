import type { EntryOf, OutboxEntry } from '../outbox.js';
import type { ClientError, Message, User } from '../types.js';
import { countUnread, isMember, NAMED_MEMBERS, previousSeq, windowsOf } from './chatFolds.js';
import { deletedMessage, withReaction } from './messageFolds.js';
import {
  type Change,
  EMPTY_STATE,
  type RoomState,
  remake,
  reuseIfEqual,
  reuseIfSame,
  roomOf,
  type State,
  type View,
} from './storeState.js';
import type { ChatView, Entry, Happening, HistoryState, Presence, RoomView, Snapshot } from './storeTypes.js';

const UNKNOWN: Presence = { state: 'unknown' };

/** The other member of a private room, if its chat is known. */
export function otherOf(state: State, { chat, participants }: RoomState): User | undefined {
  if (chat?.roomType !== 'PRIVATE') return undefined;
  const otherId = participants.find((userId) => userId !== state.me?.userId);
  return state.users.get(otherId ?? '');
}

/** How far this user has read, by the server or by a mark not sent yet. */
const myMark = (state: State, room: RoomState): number =>
  Math.max(room.wishedMark, room.marks.get(state.me?.userId ?? '') ?? 0);

/** How far all others have read. The marks of a larger group's members are not told. */
function otherMark(state: State, { chat, participants, marks }: RoomState): number {
  const others = participants.filter((userId) => userId !== state.me?.userId);
  if (others.length === 0 || (chat?.members ?? 0) > NAMED_MEMBERS) return 0;
  return Math.min(...others.map((userId) => marks.get(userId) ?? 0));
}

export const usersOf = (state: State, ids: Iterable<string>): User[] =>
  [...ids].flatMap((userId) => state.users.get(userId) ?? []);

const shownBefore = new WeakMap<Message, Message>();

/** The message with what is queued for it. It is the same object while its content stays the same. */
function shownMessage({ changes: queued, me }: State, message: Message): Message {
  const changes = queued.get(message.messageId);
  if (!changes || !me) return message;
  const changed = changes.reduce((so, change) => withChange(so, change, me), message);
  const shown = reuseIfSame(shownBefore.get(message), changed);
  shownBefore.set(message, shown);
  return shown;
}

function withChange(message: Message, { request, data }: Change, { userId }: User): Message {
  if (message.deleted || message.erased) return message;
  if (request === 'delete message') return deletedMessage(message, userId);
  if (request === 'react') return withReaction(message, { ...data, userId });
  const { mentions: _, ...rest } = message;
  return { ...rest, message: data.message, ...(data.mentions && { mentions: data.mentions }) };
}

/** Makes snapshots of the state; unchanged parts are the same objects as in the last one. */
export function viewSnapshot(): View<State, Snapshot> {
  const viewChats = viewChatList();
  let before = EMPTY_STATE;
  return (state, last) => {
    const all = viewChats(state);
    const listed = (list: 'chats' | 'requests' | 'archived'): readonly ChatView[] =>
      all.filter((chat) => listOf(chat) === list);
    const users = (list: 'friends' | 'blocked'): readonly User[] =>
      last && before.users === state.users && before[list] === state[list]
        ? last[list]
        : byName(usersOf(state, state[list]));
    const chats = listed('chats');
    const snapshot = {
      connection: state.connection,
      me: state.me,
      refused: state.refused.size,
      isLoaded: state.hasChats && state.hasFriends && !!state.preferences,
      isKept: !!state.isKept,
      chats,
      requests: listed('requests'),
      archived: listed('archived'),
      hasMoreChats: !!state.nextChats,
      hasMoreArchived: state.nextArchived != null,
      friends: users('friends'),
      blocked: users('blocked'),
      preferences: reuseIfSame(last?.preferences, state.preferences),
      unread: chats.reduce((sum, { unread }) => sum + unread, 0),
    };
    before = state;
    return snapshot;
  };
}

const listOf = ({ archived, request }: ChatView) => (archived ? 'archived' : request ? 'requests' : 'chats');

/** What a line of the list is made of. */
interface ChatLine {
  readonly room: RoomState;
  readonly other: User | undefined;
  readonly sender: User | undefined;
  readonly lastMessage: Message | null;
  readonly presence: Presence;
  readonly mark: number;
  readonly isBlocked: boolean;
  readonly lastIsBlocked: boolean;
}

interface ShownLine {
  readonly line: ChatLine;
  readonly view: ChatView;
}

/** Makes the lists of chats. It makes new objects for changed chats only: a push changes one chat of up to 1,000. */
function viewChatList(): (state: State) => readonly ChatView[] {
  const lines = new Map<string, ShownLine>();
  let made = EMPTY_STATE;
  return (state) => {
    const isAsBefore =
      made.users === state.users &&
      made.blocked === state.blocked &&
      made.changes === state.changes &&
      made.presence === state.presence;
    made = state;
    const views: ChatView[] = [];
    for (const room of state.rooms.values()) {
      const { roomId, chat } = room;
      const other = otherOf(state, room);
      if (!chat || (chat.roomType === 'PRIVATE' && !other)) continue;
      let shown = lines.get(roomId);
      if (!shown || !isAsBefore || shown.line.room !== room) {
        const last = room.known.at(-1);
        const line = reuseIfEqual(shown?.line, {
          room,
          other,
          sender: last && state.users.get(last.senderId),
          lastMessage: last ? shownMessage(state, last) : null,
          presence: state.presence.get(other?.userId ?? '') ?? UNKNOWN,
          mark: myMark(state, room),
          isBlocked: state.blocked.has(other?.userId ?? ''),
          lastIsBlocked: state.blocked.has(last?.senderId ?? ''),
        });
        if (shown?.line !== line) shown = { line, view: reuseIfSame(shown?.view, chatView(line, chat)) };
        lines.set(roomId, shown);
      }
      views.push(shown.view);
    }
    return views.sort(compareChats);
  };
}

const compareChats = (a: ChatView, b: ChatView): number =>
  Number(!!b.pinned) - Number(!!a.pinned) ||
  compare(b.lastActivity, a.lastActivity) ||
  compare(a.roomId, b.roomId);

function chatView(line: ChatLine, chat: NonNullable<RoomState['chat']>): ChatView {
  const { room, other, sender, mark, lastIsBlocked, ...shown } = line;
  const { lastMessage } = shown;
  return {
    ...chat,
    ...shown,
    ...(other && { other }),
    ...(sender && { sender }),
    ...(lastIsBlocked && { lastIsBlocked: true as const }),
    unread: countUnread(windowsOf(room), mark, lastMessage?.seq ?? 0),
    mentions: (chat.mentions ?? []).filter((seq) => seq > mark),
    // This user is never among them: typing goes to other members only.
    isTyping: room.typing.size > 0,
    isMember: isMember(room),
    lastActivity: lastMessage?.sentAt ?? chat.createdAt,
  };
}

function byName(users: User[]): User[] {
  const name = ({ displayName, username }: User): string => (displayName ?? username ?? '').toLowerCase();
  return users.sort((a, b) => compare(name(a), name(b)) || compare(a.userId, b.userId));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The known messages around the focus, or the newest ones, as far as none is missing among those that I may see. */
export function shownMessages(room: RoomState): readonly Message[] {
  const { known, focus = Number.POSITIVE_INFINITY } = room;
  const windows = windowsOf(room);
  const isJoined = (i: number): boolean => known[i]?.seq === previousSeq(windows, known[i + 1]?.seq ?? 0);
  let start = known.findIndex(({ seq }) => seq >= focus);
  if (start < 0) start = known.length - 1;
  let end = start + 1;
  while (isJoined(start - 1)) start--;
  while (isJoined(end - 1)) end++;
  return known.slice(start, end);
}

const unsentEntries = new WeakMap<OutboxEntry, Entry>();

/** A message that is not stored, as its room shows it. */
export function unsentEntry(entry: EntryOf<'send message'>, error?: ClientError): Entry {
  const { roomId: _, ...data } = entry.data;
  const { queuedAt } = entry;
  const shown = { ...data, queuedAt };
  return remake<OutboxEntry, Entry>(
    unsentEntries,
    entry,
    error ? { state: 'refused', ...shown, error } : { state: 'sending', ...shown },
  );
}

/** Refused messages, then those that wait; without those that the server has after all. */
function unsentIn({ refused, waiting }: State, { roomId, known }: RoomState): Entry[] {
  const all: { entry: OutboxEntry; error?: ClientError }[] = [
    ...refused.values(),
    ...waiting.map((entry) => ({ entry })),
  ];
  return all.flatMap(({ entry, error }) =>
    entry.request !== 'send message' ||
    entry.data.roomId !== roomId ||
    known.some(({ messageId }) => messageId === entry.id)
      ? []
      : unsentEntry(entry, error),
  );
}

type StoredEntry = Extract<Entry, { readonly state: 'stored' }>;

/** The ids of those whom a happening names. */
export const namedBy = (happening: Happening): string[] =>
  'userId' in happening ? [happening.by, happening.userId] : [happening.by];

/** Makes views of one room; unchanged parts are the same objects as in the last one. */
export function viewRoom(roomId: string): View<State, RoomView> {
  /** The entry of each stored message. */
  const entries = new WeakMap<Message, StoredEntry>();
  const entryOf = (state: State, stored: Message, isRead: boolean): StoredEntry =>
    remake<Message, StoredEntry>(entries, stored, {
      ...{ state: 'stored', message: shownMessage(state, stored) },
      ...{ sender: state.users.get(stored.senderId), isRead },
      ...(state.blocked.has(stored.senderId) && { blocked: true as const }),
      ...(state.changes.has(stored.messageId) && { isChanging: true as const }),
    });
  let before = EMPTY_STATE;
  let shown: readonly StoredEntry[] = [];
  /** Of up to 10,000 entries, only those that may differ are made again. */
  const entriesOf = (state: State, messages: readonly Message[], mark: number): readonly StoredEntry[] => {
    const { changes } = before;
    const isAsBefore = before.users === state.users && before.blocked === state.blocked;
    // An earlier page has moved the entries.
    const shift = shown[0]?.message === messages[0] ? 0 : shown.length - messages.length;
    const next = messages.map((message, i) => {
      const entry = shown[i + shift];
      const isRead = message.seq <= mark;
      return isAsBefore &&
        entry?.message === message &&
        entry.isRead === isRead &&
        state.changes.get(message.messageId) === changes.get(message.messageId)
        ? entry
        : entryOf(state, message, isRead);
    });
    before = state;
    shown = next;
    return next;
  };
  return (state) => {
    const room = roomOf(state, roomId);
    const mark = otherMark(state, room);
    const messages = shownMessages(room);
    const isAtEnd = messages.at(-1) === room.known.at(-1);
    return {
      roomId,
      chat: room.chat,
      other: otherOf(state, room),
      participants: usersOf(state, room.participants),
      typing: usersOf(state, room.typing),
      isMember: isMember(room),
      entries: [...entriesOf(state, messages, mark), ...(isAtEnd ? unsentIn(state, room) : [])],
      isAtEnd,
      history: historyOf(room, messages[0]),
      happenings: room.happenings,
      named: usersOf(state, new Set(room.happenings.flatMap(namedBy))),
      myMark: myMark(state, room),
      otherMark: mark,
    };
  };
}

function historyOf(room: RoomState, oldest: Message | undefined): HistoryState {
  const { pages } = room;
  if (oldest && previousSeq(windowsOf(room), oldest.seq) === 0) return { state: 'complete' };
  if (typeof pages === 'object') return { state: 'failed', error: pages };
  return { state: pages !== 'some' ? 'loading' : oldest ? 'more' : 'complete' };
}
