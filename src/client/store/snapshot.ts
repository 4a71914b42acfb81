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
  readonly #chats = new Lines();

  of(state: State): Snapshot {
    if (this.#last === undefined || state !== this.#state) this.#last = this.#next(state, this.#last);
    this.#state = state;
    return this.#last;
  }

  #next(state: State, last: Snapshot | undefined): Snapshot {
    const before = this.#state;
    const isAsBefore = before?.friends === state.friends && before?.users === state.users;
    const chats = kept(last?.chats, this.#chats.of(state));
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
}

interface Line {
  readonly room: RoomState;
  readonly began: string;
  readonly other: User;
  readonly presence: Presence;
  readonly mark: number;
  readonly view: ChatView;
}

/** The list of chats; of a thousand, a push changes one. */
class Lines {
  #lines = new Map<string, Line>();

  of(state: State): readonly ChatView[] {
    const next = new Map<string, Line>();
    for (const room of state.rooms.values()) {
      const other = otherOf(state, room);
      if (room.chat === undefined || other === undefined) continue;
      const presence = state.presence.get(other.userId) ?? UNKNOWN;
      const mark = myMark(state, room);
      const line = this.#lines.get(room.roomId);
      const isAsBefore =
        line?.room === room && line.other === other && line.presence === presence && line.mark === mark;
      const parts = { room, began: room.chat.createdAt, other, presence, mark };
      next.set(room.roomId, isAsBefore ? line : { ...parts, view: kept(line?.view, chatView(parts)) });
    }
    this.#lines = next;
    const views = [...next.values()].map(({ view }) => view);
    return views.sort((a, b) => compare(b.lastActivity, a.lastActivity) || compare(a.roomId, b.roomId));
  }
}

function chatView({ room, began, other, presence, mark }: Omit<Line, 'view'>): ChatView {
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
