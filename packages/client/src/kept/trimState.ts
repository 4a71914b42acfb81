import type { RoomState, State } from '../store/storeState.js';
import type { Presence } from '../store/storeTypes.js';
import type { Message } from '../types.js';

/** What one record may hold: a browser stores it whole, on the thread that draws the page. */
export interface Limits {
  /** Pinned chats and those with the newest activity. */
  readonly chats: number;
  /** The newest messages of a chat. */
  readonly messages: number;
  /** Characters of texts in all chats. Beyond it, a chat has its last message only. */
  readonly characters: number;
  /** Friends, and blocked users. */
  readonly users: number;
  /** Changes of one group that it lists, and others that it only counts. */
  readonly changes: number;
}

export const LIMITS: Limits = { chats: 100, messages: 50, characters: 1_000_000, users: 1000, changes: 200 };

/**
 * The part of a state that is kept for the next opening; undefined until the lists are here. What only this page knows is
 * left out: refused messages, marks that are not sent, who is online. What is unsent is in the outbox.
 */
export function trimState(state: State, limits = LIMITS): State | undefined {
  const { me, preferences } = state;
  if (me === undefined || preferences === undefined) return undefined;
  if (!state.isKept && !(state.hasChats && state.hasFriends)) return undefined;
  const rooms = trimRooms(state, me.userId, limits);
  const friends = firstOf(state.friends, limits.users);
  const blocked = firstOf(state.blocked, limits.users);
  const named = new Set([me.userId, ...friends, ...blocked, ...rooms.flatMap(namedIn)]);
  const presence = trimPresence(state, named);
  return {
    ...{ connection: { state: 'new' }, me, friends, blocked, preferences, presence },
    users: new Map([...state.users].filter(([userId]) => named.has(userId))),
    erased: new Set([...state.erased].filter((userId) => named.has(userId))),
    rooms: new Map(rooms.map((room) => [room.roomId, room])),
    stale: new Set(presence.keys()),
    ...{ waiting: [], refused: new Map(), changes: new Map() },
    ...{ hasChats: false, hasFriends: false, isKept: true, nextChats: undefined },
    nextArchived: hasWholeArchive(state, rooms) ? undefined : '',
  };
}

const firstOf = <T>(all: Iterable<T>, most: number): ReadonlySet<T> => new Set([...all].slice(0, most));

/**
 * The listed rooms. Groups that this user has left are not among them: nobody tells a device which of their messages are
 * deleted meanwhile.
 */
function trimRooms(state: State, myId: string, limits: Limits): readonly RoomState[] {
  const listed = [...state.rooms.values()].filter(
    ({ chat }) => chat && (chat.roomType !== 'GROUP' || chat.windows?.at(-1)?.[1] === null),
  );
  const rooms = listed.sort(compareRooms).slice(0, limits.chats);
  let { characters } = limits;
  return rooms.map((room): RoomState => {
    const known = room.known.slice(-limits.messages);
    characters -= known.reduce((sum, message) => sum + charactersOf(message), 0);
    const members = new Set([...room.participants, myId]);
    return {
      ...room,
      known: characters < 0 ? known.slice(-1) : known,
      marks: new Map([...room.marks].filter(([userId]) => members.has(userId))),
      told: new Map([...room.told].slice(-limits.changes)),
      happenings: room.happenings.slice(-limits.changes),
      ...{ wishedMark: 0, typing: new Set(), focus: undefined, isOpen: false, pages: 'none' },
    };
  });
}

const compareRooms = (a: RoomState, b: RoomState): number =>
  Number(b.chat?.pinned ?? 0) - Number(a.chat?.pinned ?? 0) || (lastActivity(a) < lastActivity(b) ? 1 : -1);

const lastActivity = ({ known, chat }: RoomState): string => known.at(-1)?.sentAt ?? chat?.createdAt ?? '';

const charactersOf = ({ message, data }: Message): number =>
  (message?.length ?? 0) + (data ? JSON.stringify(data).length : 0);

/**
 * Those whose erasure is told in this room. Whom only happenings name may be erased meanwhile without a word: they are
 * asked for again.
 */
const namedIn = ({ participants, known }: RoomState): readonly string[] => [
  ...participants,
  ...known.map(({ senderId }) => senderId),
];

/** When others were last seen stays true; that they are online does not. */
const trimPresence = ({ presence }: State, named: ReadonlySet<string>): ReadonlyMap<string, Presence> =>
  new Map([...presence].filter(([userId, { state }]) => state === 'offline' && named.has(userId)));

/** Whether the archive was fetched to its end and nothing of it is left out, so that it need not be fetched again. */
function hasWholeArchive({ nextArchived, rooms: all }: State, kept: readonly RoomState[]): boolean {
  const count = (rooms: Iterable<RoomState>): number =>
    [...rooms].filter(({ chat }) => chat?.archived).length;
  return nextArchived === undefined && count(all.values()) === count(kept);
}
