import type { Chat, PushData } from '../types.js';
import { applyMark, applyMessages, isMuted } from './messageFolds.js';
import { applyUser } from './peopleFolds.js';
import {
  type RoomState,
  reuseIfEqual,
  reuseIfSame,
  roomOf,
  type State,
  withChat,
  withElement,
  withEntry,
  withRoom,
} from './storeState.js';

/** Folds of chats, and of the members of groups. Each may come twice. */

/** The contract's windows: the `seq` from and to which I see messages; null: without end. */
export type Windows = NonNullable<Chat['windows']>;

const ALL: Windows = [[1, null]];

export const windowsOf = ({ chat }: RoomState): Windows => chat?.windows ?? ALL;

/** Whether I may send: who has left a group only reads. */
export const isMember = (room: RoomState): boolean =>
  room.chat?.roomType !== 'GROUP' || windowsOf(room).at(-1)?.[1] === null;

/** The `seq` before this one that I may see; 0: none. */
export const previousSeq = (windows: Windows, seq: number): number =>
  windows.reduce((before, [from, to]) => (seq > from ? Math.min(seq - 1, to ?? seq) : before), 0);

/** The messages above a mark that I may see. */
export const countUnread = (windows: Windows, mark: number, newest: number): number =>
  windows.reduce(
    (sum, [from, to]) => sum + Math.max(0, Math.min(to ?? newest, newest) - Math.max(from - 1, mark)),
    0,
  );

/** Folds a chat in, with its members, last message and marks. */
export function applyChat(state: State, given: Chat): State {
  const { participants, lastMessage, readUpTo, unread: _, ...info } = given;
  const { roomId } = info;
  let next = participants.reduce(applyUser, state);
  const room = roomOf(next, roomId);
  next = withRoom(next, roomId, {
    chat: reuseIfSame(room.chat, info),
    participants: reuseIfEqual(
      room.participants,
      participants.map(({ userId }) => userId),
    ),
  });
  for (const [userId, upTo] of Object.entries(readUpTo)) next = applyMark(next, roomId, userId, upTo);
  if (lastMessage !== null) next = applyMessages(next, roomId, [lastMessage]);
  // A message has come since this was true, and brought the chat back from the archive.
  const newest = roomOf(next, roomId).known.at(-1);
  return newest && newest.seq > (lastMessage?.seq ?? 0) && !isMuted(info.mutedUntil, newest.sentAt)
    ? withChat(next, roomId, { archived: undefined })
    : next;
}

/** The members that a chat names at most. */
export const NAMED_MEMBERS = 32;

/** Folds somebody's coming or going in. My own going ends my window: what lies in it stays readable. */
export function applyMembership(
  state: State,
  { roomId, userId, at }: { readonly roomId: string; readonly userId: string; readonly at: number },
  isIn: boolean,
): State {
  const { chat, participants, told, typing } = roomOf(state, roomId);
  if (chat?.members === undefined) return state;
  const isNamed = participants.includes(userId);
  // In a larger group, what was told last says whether somebody was in it who is not named.
  const hasUnnamed = chat.members > participants.length;
  const wasIn = isNamed || (hasUnnamed && (told.get(userId) ?? !isIn));
  const named = isIn ? [...participants, userId] : participants.filter((one) => one !== userId);
  const next = withRoom(state, roomId, {
    participants: isNamed === isIn ? participants : reuseIfEqual(participants, named.slice(0, NAMED_MEMBERS)),
    told: withEntry(told, userId, isIn),
    typing: isIn ? typing : withElement(typing, userId, false),
  });
  const members = chat.members + (wasIn === isIn ? 0 : isIn ? 1 : -1);
  // Joining sets the mark to the newest message.
  if (isIn) return applyMark(withChat(next, roomId, { members }), roomId, userId, at);
  if (userId !== state.me?.userId) return withChat(next, roomId, { members });
  const windows = (chat.windows ?? []).flatMap(([from, to]): Windows => {
    if (to !== null) return [[from, to]];
    return at < from ? [] : [[from, at]];
  });
  return withChat(next, roomId, { members, windows, role: undefined });
}

export function applyGroupChange(state: State, push: PushData<'change group'>): State {
  const { by: _, at: __, roomId, about, ...changes } = push;
  return withChat(state, roomId, { ...changes, ...('about' in push ? { about: about ?? undefined } : {}) });
}

export const applyRole = (
  state: State,
  { roomId, userId, role }: { readonly roomId: string; readonly userId: string; readonly role: Chat['role'] },
): State => (userId === state.me?.userId ? withChat(state, roomId, { role }) : state);
