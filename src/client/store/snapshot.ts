import type { User } from '../types.js';
import { kept, type RoomState, type State } from './state.js';
import type { ChatView, Presence, Snapshot } from './types.js';

const UNKNOWN: Presence = { state: 'unknown' };

/** The other member of a room, once its chat is known. */
export function otherOf(state: State, room: RoomState): User | undefined {
  const otherId = room.chat?.members.find((userId) => userId !== state.me?.userId);
  return otherId === undefined ? undefined : state.users.get(otherId);
}

/** How far this user has read: what the server said, or was last wished. */
export function myMark(state: State, room: RoomState): number {
  return Math.max(room.wish, room.marks.get(state.me?.userId ?? '') ?? 0);
}

/** Makes snapshots of what is known; whatever is as in the last one is the same object. */
export class Snapshots {
  #state: State | undefined;
  #last: Snapshot | undefined;
  #chats = new Map<string, ChatView>();

  of(state: State): Snapshot {
    if (this.#last === undefined || state !== this.#state) this.#last = this.#next(state, this.#last);
    this.#state = state;
    return this.#last;
  }

  #next(state: State, last: Snapshot | undefined): Snapshot {
    const before = this.#state;
    const isAsBefore = before?.friends === state.friends && before?.users === state.users;
    const chats = kept(last?.chats, this.#chatsOf(state));
    return kept(last, {
      connection: state.connection,
      me: state.me,
      loaded: state.hasChats && state.hasFriends,
      chats,
      hasMoreChats: state.nextChats !== undefined,
      friends: last !== undefined && isAsBefore ? last.friends : kept(last?.friends, friendsOf(state)),
      unread: chats.reduce((sum, { unread }) => sum + unread, 0),
    });
  }

  #chatsOf(state: State): readonly ChatView[] {
    const views = [...state.rooms.values()].flatMap((room) => {
      const view = chatView(state, room);
      return view === undefined ? [] : [kept(this.#chats.get(room.roomId), view)];
    });
    this.#chats = new Map(views.map((view) => [view.roomId, view]));
    return views.sort((a, b) => compare(b.lastActivity, a.lastActivity) || compare(a.roomId, b.roomId));
  }
}

function chatView(state: State, room: RoomState): ChatView | undefined {
  const other = otherOf(state, room);
  if (room.chat === undefined || other === undefined) return undefined;
  const lastMessage = room.known.at(-1) ?? null;
  return {
    roomId: room.roomId,
    other,
    lastMessage,
    unread: Math.max(0, (lastMessage?.seq ?? 0) - myMark(state, room)),
    presence: state.presence.get(other.userId) ?? UNKNOWN,
    isTyping: room.typing.has(other.userId),
    lastActivity: lastMessage?.sentAt ?? room.chat.createdAt,
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
