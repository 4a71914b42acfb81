import { z } from 'zod';
import { badRequest, notFound, unauthenticated } from '../base/errors.js';
import { command, completedCommand, type Decision, request } from './defineCommand.js';
import { event, push, type StoredPush, type Topic } from './defineEvent.js';
import { Empty, Id, Limit, Revision, Time } from './fields.js';
import { pairOf, type RoomId, roomIdOf, type UserId } from './ids.js';
import { JOINED_ROOMS } from './limits.js';
import { inPair, pairIn, type RoomState, roomStream, unchanged, userStream } from './streams.js';
import { Chat, OnlineInfo } from './userMessageChat.js';

/**
 * Chats, and private ones: one room for a pair for ever, active for its initiator at once; who types in one; and what
 * each member sets for themselves: muted, pinned, archived.
 */

export const topic: Topic = 'people';

const Members = z.tuple([z.string(), z.string()]).readonly();

export const initChatPush = push('init chat', {
  isStored: true,
  data: z.strictObject({ room: Chat }),
  note: 'A chat became active for me. `room` is the answer of `get chat`.',
});

/** Tells a user's devices of a chat that has become active for the user. */
export const openedChatPush = (roomId: RoomId, userId: UserId): StoredPush =>
  initChatPush.of({
    to: [userId],
    room: roomId,
    chat: { roomId, userId },
    data: (shown) => ({ room: shown.chat(roomId, userId) }),
  });

/** Pushed to nobody: a chat appears with `ChatOpened`. `members` are in ascending order. */
export const RoomCreated = event('RoomCreated', roomStream, {
  data: z.strictObject({ roomId: z.string(), roomType: z.literal('PRIVATE'), members: Members }),
  evolve(state, { data: { roomId, members }, recordedAt }): RoomState {
    if (state.exists) return state;
    const marks = { [members[0]]: 0, [members[1]]: 0 };
    const { added, contacts, blocks } = pairIn(state);
    const room = { roomId, members, createdAt: recordedAt, active: [], lastSeq: 0, marks };
    return { exists: true, roomType: 'PRIVATE', ...room, erased: [], added, contacts, blocks, pins: [] };
  },
  line: ({ data }, { who }) => `${data.members.map(who).join(' and ')} have room ${data.roomId}`,
});

/** The chat became active for one member: always before the room's first message. */
export const ChatOpened = event('ChatOpened', roomStream, {
  data: z.strictObject({ roomId: z.string(), userId: z.string() }),
  evolve: inPair((room, { data }) => ({ ...room, active: [...room.active, data.userId] })),
  push: ({ data: { roomId, userId } }) => [openedChatPush(roomId, userId)],
  line: ({ data }, { who }) => `room ${data.roomId} appeared for ${who(data.userId)}`,
});

export const initChat = completedCommand('init chat', roomStream, {
  data: { friendId: Id },
  answer: z.strictObject({ room: Chat, isNewActive: z.boolean(), friendId: z.string(), revision: Revision }),
  note: 'Opens the one room of the pair. `isNewActive`: this call made it active for me.',
  streamId: ({ actor, friendId }) => roomIdOf(actor, friendId),
  // The first message is often sent together with this command, and asks for the preferences.
  wants: ({ actor, friendId }) => ({ users: [friendId, actor], preferences: [friendId] }),
  decide({ actor, friendId }, room, { exists }) {
    const state = pairIn(room);
    // The command may have been sent before the actor was erased.
    if (!exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (actor === friendId) return { refused: badRequest('you cannot start a chat with yourself') };
    if (!exists(friendId) || (state.exists && state.erased.length > 0) || state.blocks.length > 0)
      return { refused: notFound(`there is no user ${friendId}`) };
    const roomId = roomIdOf(actor, friendId);
    if (state.exists && state.active.includes(actor))
      return { events: [], answer: { roomId, isNewActive: false } };
    const answer = { roomId, isNewActive: true };
    const opened = ChatOpened.of(roomId, { roomId, userId: actor });
    if (state.exists) return { events: [opened], answer };
    const members = pairOf(actor, friendId);
    const created = RoomCreated.of(roomId, { roomId, roomType: 'PRIVATE', members });
    return { events: [created, opened], answer };
  },
});

export const joinRoom = request('join room', {
  data: z.strictObject({ roomIds: z.array(Id).min(1).max(JOINED_ROOMS) }),
  answer: z.strictObject({ roomIds: z.array(z.string()) }),
  note: 'Receives the pushes of these rooms again, on this connection. If one room is not mine, the answer is `not_found` and none is joined.',
});

export const leaveRoom = request('leave room', {
  data: z.strictObject({ roomId: Id }),
  answer: z.strictObject({ roomId: z.string() }),
  note: 'Receives no pushes of this room on this connection.',
});

export const getChat = request('get chat', {
  data: z.strictObject({ roomId: Id, revision: Revision.exactOptional() }),
  answer: z.strictObject({ chat: Chat, presence: z.record(z.string(), OnlineInfo).exactOptional() }),
  note: 'A chat of mine, with the presence of its other members who are contacts.',
});

/** `all`: everything but the archived; `active`: those of `all` that are no requests. */
export const ChatFilter = z.enum(['all', 'active', 'requests', 'archived']);
export type ChatFilter = z.infer<typeof ChatFilter>;

export const getActiveChats = request('get active chats', {
  data: z.strictObject({
    limit: Limit,
    filter: ChatFilter.default('all'),
    next: z.string().min(1).max(256).exactOptional(),
    revision: Revision.exactOptional(),
  }),
  answer: z.strictObject({
    chats: z.array(Chat),
    presence: z.record(z.string(), OnlineInfo),
    next: z.string().exactOptional(),
  }),
  note: 'Newest activity first. Send the `next` of the answer to get the next page; the last page has none. An answer examines at most `limit` + 400 chats: with a filter it may hold fewer than `limit`, even none, and still have a `next`.',
});

/** Typing never touches the log. */
export const typingPush = push('notify typing', {
  isStored: false,
  data: z.strictObject({ roomId: z.string(), userId: z.string(), isTyping: z.boolean() }),
  note: 'A member is typing, or has stopped.',
});

export const notifyTyping = request('notify typing', {
  data: z.strictObject({ roomId: Id, isTyping: z.boolean() }),
  answer: Empty,
  note: 'Sent to the connected other members, while at most 8 members type. It ends after 6 s without another `notify typing`.',
});

/** What a member sets of a chat for themselves: what a command changes. A `mutedUntil` of null ends the muting. */
const Changes = {
  mutedUntil: z.iso.datetime().nullable().exactOptional(),
  pinned: z.boolean().exactOptional(),
  archived: z.boolean().exactOptional(),
} as const;

const Settings = z.object({
  mutedUntil: Time.nullable(),
  pinned: z.boolean(),
  archived: z.boolean(),
});
type Settings = z.infer<typeof Settings>;

export const changeChatPush = push('change chat', {
  isStored: true,
  data: z.strictObject({ chat: Chat }),
  note: 'I have muted, pinned or archived a chat on another device, or have undone this.',
});

/** `seq`: the newest message that the user could see; a later one takes the chat out of the archive. */
export const ChatChanged = event('ChatChanged', userStream, {
  data: z.strictObject({
    userId: z.string(),
    roomId: z.string(),
    seq: z.int().min(0),
    mutedUntil: Time.nullable().exactOptional(),
    pinned: z.boolean().exactOptional(),
    archived: z.boolean().exactOptional(),
  }),
  push: ({ data: { userId, roomId } }) => [
    changeChatPush.of({
      to: [userId],
      chat: { roomId, userId },
      onlyNewest: chatSettingsKey(userId, roomId),
      data: (shown) => ({ chat: shown.chat(roomId, userId) }),
    }),
  ],
  line: ({ data: { userId, roomId, mutedUntil, pinned, archived } }, { who }) => {
    const changes = [
      ...(mutedUntil === undefined ? [] : [mutedUntil === null ? 'unmuted' : `muted until ${mutedUntil}`]),
      ...(pinned === undefined ? [] : [pinned ? 'pinned' : 'unpinned']),
      ...(archived === undefined ? [] : [archived ? 'archived' : 'not archived']),
    ];
    return `${who(userId)} set room ${roomId}: ${changes.join(', ')}`;
  },
});

/** Names what a user has set of a room. */
export const chatSettingsKey = (userId: string, roomId: string): string => `${userId}/${roomId}`;

/** `before`: the settings that the user sees; `seq` as in the event. The caller knows that the chat is the user's. */
export const changeChat = command('change chat', userStream, {
  fields: { actor: z.string(), roomId: z.string(), seq: z.int(), before: Settings, ...Changes },
  actor: 'actor',
  streamId: ({ actor }) => actor,
  decide(command, state): Decision<{ readonly changed: boolean }> {
    const { actor: userId, roomId, seq, before } = command;
    if (!state.registered || state.erased) return { refused: unauthenticated('this user has been erased') };
    const changes = changesOf(before, command);
    if (Object.keys(changes).length === 0) return unchanged;
    // An archived chat stays so when it is muted or unmuted: what was said meanwhile does not count.
    const kept = 'mutedUntil' in changes && before.archived ? { archived: true } : {};
    const changed = ChatChanged.of(userId, { userId, roomId, seq, ...kept, ...changes });
    return { events: [changed], answer: { changed: true } };
  },
});

type GivenChanges = { readonly [N in keyof Settings]?: Settings[N] };

/** The given settings that are not so already. */
function changesOf(before: Settings, { mutedUntil, pinned, archived }: GivenChanges): GivenChanges {
  const until = mutedUntil && new Date(mutedUntil).toISOString();
  return {
    ...(until === undefined || until === before.mutedUntil ? {} : { mutedUntil: until }),
    ...(pinned === undefined || pinned === before.pinned ? {} : { pinned }),
    ...(archived === undefined || archived === before.archived ? {} : { archived }),
  };
}

export const changeChatRequest = request('change chat', {
  data: z.strictObject({ roomId: Id, ...Changes }),
  answer: z.strictObject({ chat: Chat, revision: Revision }),
  note: 'Only for me. A new message takes a chat out of the archive, unless it is muted.',
});
