import { z } from 'zod';
import { badRequest, conflict, forbidden, notFound, type ParleyError } from '../base/errors.js';
import { openChat } from './chats.js';
import { clientCommand, command, type Decision, request } from './defineCommand.js';
import {
  event,
  isGroupAudience,
  type NewEventOf,
  push,
  type RecordedOf,
  type SealedMessage,
} from './defineEvent.js';
import { Id, Limit, Revision, Seq } from './fields.js';
import { type Group, membersOf } from './groupState.js';
import type { Actor, MessageRef, RoomId, UserId } from './ids.js';
import { countCodePoints, MESSAGE_CODE_POINTS } from './limits.js';
import {
  canSee,
  changed,
  isGroup,
  isRoomAdmin,
  notMember,
  type Room,
  type RoomState,
  roomOfMember,
  roomStream,
  unchanged,
} from './streams.js';
import { Message } from './userMessageChat.js';

/** Messages: `seq` is 1, 2, 3 … in a room; a `messageId` is unique in its room for ever. */

const nobody: readonly UserId[] = [];
const limit = MESSAGE_CODE_POINTS.toLocaleString('en-US');

const MessageText = z
  .string()
  .min(1, 'must not be empty')
  .check(({ value: text, issues }) => {
    const add = (message: string) => issues.push({ code: 'custom', message, input: text });
    if (text.length > MESSAGE_CODE_POINTS && countCodePoints(text) > MESSAGE_CODE_POINTS)
      add(`must be at most ${limit} code points`);
    // The client checks texts too, in browsers without `isWellFormed`.
    if (/\p{Surrogate}/u.test(text)) add('must not contain lone surrogates');
    if (!/\S/.test(text)) add('must not be only white space');
  })
  .meta({
    description: `1–${limit} code points, not only white space, no lone surrogates; kept exactly as sent.`,
    maxLength: MESSAGE_CODE_POINTS,
  });

/** The context that a message's sealed text is bound to. */
export const messageContext = (roomId: RoomId, messageId: string): string =>
  `room:${roomId}|MessageSent|${messageId}|text`;

export const sendMessagePush = push('send message', {
  isStored: true,
  data: z.strictObject({ message: Message }),
  note: 'To all joined connections of all members but the one that sent it.',
});

const MessageSentData = z.strictObject({
  roomId: z.string(),
  messageId: z.string(),
  seq: z.int().min(1),
  text: z.string(),
  replyTo: z.string().exactOptional(),
});

export const MessageSent = event('MessageSent', roomStream, {
  data: MessageSentData,
  sealed: [
    {
      field: 'text',
      of: ({ actor, data: { roomId, messageId, seq } }) => ({
        owner: actor,
        context: messageContext(roomId, messageId),
        place: { roomId, seq, rev: 0 },
      }),
    },
  ],
  // Field by field, as nearly all events come here: spreading the old state takes several times as long.
  evolve(room, { actor, data: { seq } }): RoomState {
    if (!room.exists) return room;
    if (room.roomType === 'GROUP')
      return { ...room, lastSeq: seq, members: room.members?.withMessage(actor, seq) };
    return {
      exists: true,
      roomType: 'PRIVATE',
      roomId: room.roomId,
      members: room.members,
      createdAt: room.createdAt,
      active: room.active,
      lastSeq: seq,
      marks: { ...room.marks, [actor]: seq },
      erased: room.erased,
      added: room.added,
    };
  },
  push(sent, { members, message = sealedMessage(sent) }) {
    const { actor, data } = sent;
    const [a, b] = data.seq === 1 && !isGroupAudience(members) ? members : nobody;
    return [
      sendMessagePush.of({
        to: members,
        room: data.roomId,
        message,
        endsTypingOf: actor,
        ...(a !== undefined && b !== undefined ? { contacts: [a, b] as const } : {}),
        data: (shown) => ({ message: openedMessage(message, message.text && shown.text(message.text)) }),
      }),
    ];
  },
  line: ({ actor, data }, { who, quoted }) =>
    `${who(actor)} in room ${data.roomId}, message ${data.seq}: ${quoted(data.text)}`,
});

export const deleteMessagePush = push('delete message', {
  isStored: true,
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    by: z.string(),
  }),
  note: 'A message was deleted: it keeps its place and shows who deleted it.',
});

/** The keys of the message's texts are destroyed after it: see `erasure/destroyedTexts.ts`. */
export const MessageDeleted = event('MessageDeleted', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    senderId: z.string(),
    by: z.string(),
  }),
  push: ({ data: { roomId, messageId, seq, by } }, { members }) => [
    deleteMessagePush.of({ to: members, seq, room: roomId, data: () => ({ roomId, messageId, seq, by }) }),
  ],
  line: ({ data }, { who }) => `${who(data.by)} deleted message ${data.seq} of room ${data.roomId}`,
});

export const sendMessage = clientCommand('send message', roomStream, {
  data: { roomId: Id, messageId: Id, message: MessageText, replyTo: Id.exactOptional() },
  answer: z.strictObject({ message: Message, revision: Revision }),
  note: '`messageId` is of the sender’s choice: sent again with the same body it gets the first answer, with another it is a `conflict`. `seq` is 1, 2, 3 … in its room, without a hole.',
  streamId: ({ roomId }) => roomId,
  wants: ({ actor, roomId, messageId, replyTo }) => ({
    messages: [{ roomId, messageId }, ...(replyTo === undefined ? [] : [{ roomId, messageId: replyTo }])],
    textKeys: [{ owner: actor, roomId }],
  }),
  text: 'message',
  decide(command, state, facts): Decision<Sent> {
    const { actor, roomId, messageId, message, replyTo } = command;
    // A repeat gets its answer even from somebody who has left since.
    const found = roomOfMember(state, command);
    if ('refused' in found && !hasLeft(state, actor)) return found;
    const room = 'refused' in found ? state : found.room;
    if (!room.exists) return { refused: notMember() };
    const earlier = facts.message({ roomId, messageId });
    if (earlier) {
      const { seq, sentAt, deleted } = earlier;
      const body = { messageId, roomId, senderId: actor, ...(replyTo === undefined ? {} : { replyTo }) };
      const isSame = earlier.senderId === actor && earlier.replyTo === replyTo;
      // The text of a deleted message cannot be compared any more.
      if (isSame && deleted)
        return { events: [], answer: sentAnswer(room, { ...body, seq, message: null, sentAt, deleted }) };
      if (isSame && earlier.hasText(message))
        return { events: [], answer: sentAnswer(room, { ...body, seq, message, sentAt }) };
      return {
        refused: conflict(`message ${messageId} exists with another body or sender`),
      };
    }
    const refused = 'refused' in found ? found.refused : refusalToSend(room, actor);
    if (refused) return { refused };
    const quoted = replyTo === undefined ? undefined : facts.message({ roomId, messageId: replyTo });
    const isQuotable = quoted && (room.roomType === 'PRIVATE' || canSee(room, actor, quoted.seq));
    if (replyTo !== undefined && !isQuotable) {
      const reason = 'must be the id of an earlier message in the room';
      return { refused: badRequest(`replyTo ${reason}`, [{ path: 'replyTo', message: reason }]) };
    }
    const seq = room.lastSeq + 1;
    const data = { roomId, messageId, seq, text: message };
    const events: NewEventOf<string, object>[] = [];
    if (room.roomType === 'PRIVATE')
      for (const member of room.members)
        if (!room.active.includes(member)) events.push(openChat(room, member));
    events.push(MessageSent.of(roomId, replyTo === undefined ? data : { ...data, replyTo }));
    // Written out: to spread objects took longer than the rest of this function.
    const sent = { messageId, roomId, seq, senderId: actor, message, sentAt: facts.now };
    return { events, answer: sentAnswer(room, replyTo === undefined ? sent : { ...sent, replyTo }) };
  },
  reply: (_, { message }, revision) => ({ message, revision }),
  // The first message makes its room's members contacts.
  contacts: (_, { contacts }) => contacts,
});

interface Sent {
  readonly message: Message;
  readonly contacts?: Room['members'];
}

const sentAnswer = (room: Room | Group, message: Message): Sent =>
  message.seq === 1 && room.roomType === 'PRIVATE' ? { message, contacts: room.members } : { message };

const hasLeft = (state: RoomState, user: UserId): boolean =>
  isGroup(state) && membersOf(state).get(user) !== undefined;

/** Why a member of the room may not send. */
function refusalToSend(room: Room | Group, actor: UserId): ParleyError | undefined {
  if (room.roomType === 'PRIVATE')
    return room.erased.length > 0 ? forbidden('the other member has been erased') : undefined;
  if (room.settings.whoSends === 'members' || isRoomAdmin(room, actor)) return undefined;
  return forbidden('only admins send messages to this group', 'admins_only');
}

/** Deletes a message on an operator's order. `not_found` if the room has no such message. */
export const deleteMessage = command('delete message', roomStream, {
  fields: { roomId: z.string(), messageId: z.string() },
  actor: 'system',
  streamId: ({ roomId }) => roomId,
  wants: (message) => ({ messages: [message] }),
  decide({ roomId, messageId }, _, { message }) {
    const found = message({ roomId, messageId });
    if (!found) return { refused: notFound(`room ${roomId} has no message ${messageId}`) };
    if (found.deleted) return unchanged;
    const { seq, senderId } = found;
    return changed(MessageDeleted.of(roomId, { roomId, messageId, seq, senderId, by: 'system' }));
  },
});

export const fetchMessages = request('fetch messages', {
  data: z
    .strictObject({
      roomId: Id,
      before: Seq.exactOptional(),
      after: Seq.exactOptional(),
      limit: Limit,
      revision: Revision.exactOptional(),
    })
    .refine((d) => d.before === undefined || d.after === undefined, {
      message: 'give before or after, not both',
      path: ['after'],
    }),
  answer: z.strictObject({ messages: z.array(Message), hasMore: z.boolean() }),
  note: 'In ascending `seq`; `before` and `after` are exclusive; without either, the newest. `hasMore` is about the direction asked.',
});

/** The message that a `MessageSent` records. */
export function sealedMessage(
  event: RecordedOf<'MessageSent', z.output<typeof MessageSentData>>,
): SealedMessage {
  const { roomId, messageId, seq, text, replyTo } = event.data;
  return {
    messageId,
    roomId,
    seq,
    senderId: event.actor,
    text,
    ...(replyTo === undefined ? {} : { replyTo }),
    sentAt: event.recordedAt,
  };
}

/** What is left of a message that was deleted. */
export const deletedMessage = (
  message: SealedMessage,
  { data: { by } }: { readonly data: { readonly by: Actor } },
): SealedMessage => ({ ...message, text: null, deleted: { by } });

/** The message as clients get it. A text of null is an erased one, unless the message was deleted. */
export function openedMessage(sealed: SealedMessage, text: string | null): Message {
  const { messageId, roomId, seq, senderId, replyTo, sentAt, deleted } = sealed;
  return {
    messageId,
    roomId,
    seq,
    senderId,
    message: deleted ? null : text,
    ...(replyTo === undefined ? {} : { replyTo }),
    sentAt,
    ...(text === null && !deleted ? { erased: true as const } : {}),
    ...(deleted ? { deleted } : {}),
  };
}

/** A message of the history: its text sealed. */
export type StoredMessage = Omit<SealedMessage, 'roomId'>;

/**
 * A message's name among all rooms. The message id comes first: ids of UUIDv7 grow with time, so that an index of
 * them grows at its end.
 */
export const messageTerm = ({ roomId, messageId }: MessageRef): string => `${messageId}/${roomId}`;
