import type { Message, PushData } from '../types.js';
import {
  isSame,
  type RoomState,
  reuseIfEqual,
  roomOf,
  type State,
  withChat,
  withElement,
  withEntry,
  withRoom,
} from './storeState.js';

/**
 * Folds of messages and of what is said of them. Each may come twice. Answers, pages and pushes may overlap: of two
 * forms of one message the one counts in which more is gone, then the one with more edits, then the later one.
 */

const rankOf = ({ deleted, erased, rev = 0 }: Message): number => (deleted ? 1e4 : erased ? 1e3 : rev);

/** Merges by `seq`, in which both ascend, each message once. Gives `known` itself when nothing is new. */
function mergeMessages(known: readonly Message[], more: readonly Message[]): readonly Message[] {
  const all = [...known];
  let at = all.length;
  // From the end: the most frequent case is one more there.
  for (const message of [...more].reverse()) {
    while ((all[at - 1]?.seq ?? 0) >= message.seq) at--;
    const before = all[at];
    const isThere = before?.seq === message.seq;
    if (isThere && (rankOf(before) > rankOf(message) || isSame(before, message))) continue;
    all.splice(at, Number(isThere), message);
  }
  return reuseIfEqual(known, all);
}

/** The message after the erasure of its sender. */
export function eraseText(message: Message): Message {
  if (message.deleted || message.erased) return message;
  const { data: _, ...rest } = message;
  return { ...rest, message: null, erased: true };
}

export function applyMessages(state: State, roomId: string, messages: readonly Message[]): State {
  const room = roomOf(state, roomId);
  const readable = messages.map((message) =>
    state.erased.has(message.senderId) ? eraseText(message) : message,
  );
  const all = mergeMessages(room.known, readable);
  let { marks } = room;
  // The sender has read up to here; there is no separate push for it.
  for (const { senderId, seq } of messages) marks = raiseMark(marks, senderId, seq);
  // A room that is not open needs its last message only, for the list of chats.
  const known = room.isOpen || all === room.known ? all : all.slice(-1);
  return applyListed(withRoom(state, roomId, { known, marks }), roomId, readable);
}

/** Sets the state of the pages, if the room is still open. */
export function applyPages(state: State, roomId: string, pages: RoomState['pages']): State {
  return roomOf(state, roomId).isOpen ? withRoom(state, roomId, { pages }) : state;
}

export function applyPage(state: State, roomId: string, page: readonly Message[]): State {
  return applyMessages(applyPages(state, roomId, 'some'), roomId, page);
}

export function applyMark(state: State, roomId: string, userId: string, upTo: number): State {
  return withRoom(state, roomId, { marks: raiseMark(roomOf(state, roomId).marks, userId, upTo) });
}

function raiseMark(marks: ReadonlyMap<string, number>, userId: string, upTo: number) {
  return (marks.get(userId) ?? 0) < upTo ? withEntry(marks, userId, upTo) : marks;
}

/** The newest mentions that a chat keeps. */
const MOST_MENTIONS = 100;

/** The list with or without this element, which is in it at most once; the same list if nothing changes. */
function toggle<T>(list: T[], element: T, on: boolean): T[] {
  if (list.includes(element) === on) return list;
  return on ? [...list, element] : list.filter((one) => one !== element);
}

/** Lists the messages that mention me or are pinned. What is up to my mark is left out where it is shown. */
function applyListed(state: State, roomId: string, messages: readonly Partial<Message>[]): State {
  const { chat } = roomOf(state, roomId);
  const myId = state.me?.userId;
  const before = { mentions: chat?.mentions ?? NONE, pinnedMessages: chat?.pinnedMessages ?? NONE };
  let { mentions, pinnedMessages }: { mentions: number[]; pinnedMessages: string[] } = before;
  for (const { seq = 0, messageId = '', senderId, mentions: named = [], pinned = false } of messages) {
    const isMention = senderId !== myId && named.some((id) => id === myId || id === 'all');
    mentions = toggle(mentions, seq, isMention);
    pinnedMessages = toggle(pinnedMessages, messageId, pinned);
  }
  if (mentions === before.mentions && pinnedMessages === before.pinnedMessages) return state;
  mentions = [...mentions].sort((a, b) => a - b).slice(-MOST_MENTIONS);
  return withChat(state, roomId, { mentions, pinnedMessages });
}

const NONE: never[] = [];

/** Folds a sent message in. A new one ends the sender's typing, and brings the chat back from the archive. */
export function applySentMessage(state: State, message: Message): State {
  const { roomId, senderId, seq, sentAt } = message;
  const { chat, known } = roomOf(state, roomId);
  const next = applyMessages(applyTyping(state, roomId, senderId, false), roomId, [message]);
  if (chat === undefined || seq <= (known.at(-1)?.seq ?? 0)) return next;
  return withChat(next, roomId, {
    ...(isMuted(chat.mutedUntil, sentAt) ? {} : { archived: undefined }),
    // To whomever I write is my contact.
    ...(senderId === state.me?.userId ? { request: undefined } : {}),
  });
}

export const isMuted = (mutedUntil: string | undefined, at: string): boolean =>
  mutedUntil !== undefined && mutedUntil > at;

/** Folds in what a message is now. One that is not loaded changes only what the chat counts. */
export function applyChangedMessage(state: State, message: Message): State {
  const { roomId } = message;
  const isKnown = roomOf(state, roomId).known.some(({ seq }) => seq === message.seq);
  return isKnown ? applyMessages(state, roomId, [message]) : applyListed(state, roomId, [message]);
}

/** Changes the message if it is loaded and not gone. */
function changeMessage(
  state: State,
  { roomId, messageId }: { readonly roomId: string; readonly messageId: string },
  change: (message: Message) => Message,
): State {
  const { known } = roomOf(state, roomId);
  return withRoom(state, roomId, {
    known: reuseIfEqual(
      known,
      known.map((one) => (one.messageId === messageId && !one.deleted ? change(one) : one)),
    ),
  });
}

/** What stays of a message that was deleted. */
export function deletedMessage(message: Message, by: string): Message {
  const { messageId, roomId, seq, senderId, replyTo, sentAt } = message;
  const reply = replyTo === undefined ? {} : { replyTo };
  return { messageId, roomId, seq, senderId, message: null, ...reply, sentAt, deleted: { by } };
}

/** Removes the text of a deleted message. An unknown one comes without its text. */
export function applyDeletion(state: State, push: PushData<'delete message'>): State {
  const { roomId, messageId, by } = push;
  const found = roomOf(state, roomId).known.find((message) => message.messageId === messageId);
  const next = changeMessage(state, push, (message) => deletedMessage(message, by));
  return applyListed(next, roomId, [{ seq: found?.seq ?? push.seq, messageId }]);
}

/** The users that a reaction names. */
const NAMED_REACTORS = 20;

/**
 * The message with or without this reaction. Beyond the first users a reaction has only their number: `isNew` says
 * whether this changes it.
 */
export function withReaction(
  message: Message,
  { userId, emoji, on }: { readonly userId: string; readonly emoji: string; readonly on: boolean },
  isNew: () => boolean = () => true,
): Message {
  const { reactions = [], ...rest } = message;
  const before = reactions.find((one) => one.emoji === emoji);
  const { userIds, count }: Omit<NonNullable<typeof before>, 'emoji'> = before ?? { userIds: [], count: 0 };
  const isNamed = userIds.includes(userId);
  const hasUnnamed = count > userIds.length;
  if (on ? isNamed : !isNamed && !hasUnnamed) return message;
  if ((hasUnnamed || (on && count >= NAMED_REACTORS)) && !isNew() && !isNamed) return message;
  const after = {
    emoji,
    userIds: on ? [...userIds, userId].slice(0, NAMED_REACTORS) : userIds.filter((id) => id !== userId),
    count: count + (on ? 1 : -1),
  };
  const all = before ? reactions.map((one) => (one === before ? after : one)) : [...reactions, after];
  const left = all.filter((one) => one.count > 0);
  return left.length > 0 ? { ...rest, reactions: left } : rest;
}

interface Reaction {
  readonly roomId: string;
  readonly messageId: string;
  readonly userId: string;
  readonly emoji: string;
  readonly on: boolean;
}

export function applyReaction(state: State, push: Reaction): State {
  const { roomId, messageId, userId, emoji, on } = push;
  const key = `${messageId} ${emoji} ${userId}`;
  const { told } = roomOf(state, roomId);
  let nowTold = told;
  const next = changeMessage(state, push, (message) =>
    withReaction(message, push, () => {
      nowTold = withEntry(told, key, on);
      return nowTold !== told;
    }),
  );
  return nowTold === told ? next : withRoom(next, roomId, { told: nowTold });
}

export function applyPin(
  state: State,
  push: { readonly roomId: string; readonly messageId: string; readonly on: boolean },
): State {
  const { roomId, messageId, on } = push;
  const next = changeMessage(state, push, (message) => {
    if ((message.pinned === true) === on) return message;
    const { pinned: _, ...rest } = message;
    return on ? { ...rest, pinned: true } : rest;
  });
  const pinned = roomOf(next, roomId).chat?.pinnedMessages ?? NONE;
  return withChat(next, roomId, { pinnedMessages: toggle(pinned, messageId, on) });
}

export function applyTyping(state: State, roomId: string, userId: string, isTyping: boolean): State {
  const before = roomOf(state, roomId).typing;
  const canType = isTyping && !state.erased.has(userId) && !state.blocked.has(userId);
  return withRoom(state, roomId, { typing: withElement(before, userId, canType) });
}
