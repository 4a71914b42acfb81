import { z } from 'zod';
import { badRequest, forbidden, ParleyError } from '../base/errors.js';
import { openChat } from './chats.js';
import { clientCommand, type Decision, request } from './defineCommand.js';
import { event, type RecordedOf } from './defineEvent.js';
import { push, type SealedMessage } from './definePush.js';
import { Id, Limit, MessageText, Revision, Seq } from './fields.js';
import type { MessageRef, RoomId } from './ids.js';
import { inRoom, type Room, roomOfMember, roomStream } from './streams.js';
import { Message } from './userMessageChat.js';

/** Messages: `seq` is 1, 2, 3 … in a room; a `messageId` is unique in its room for ever. */

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
  sealed: {
    field: 'text',
    owner: ({ actor }) => actor,
    context: ({ data }) => messageContext(data.roomId, data.messageId),
  },
  evolve: inRoom((room, { actor, data: { seq } }) => addMessage(room, seq, { ...room.marks, [actor]: seq })),
  push(sent) {
    const { audience: to, actor, data } = sent;
    const message = sealedMessage(sent);
    const [a, b] = to;
    return [
      sendMessagePush.of({
        to,
        room: data.roomId,
        message,
        endsTypingOf: actor,
        ...(data.seq === 1 && a !== undefined && b !== undefined ? { contacts: [a, b] as const } : {}),
        data: ({ text }) => ({ message: openedMessage(message, text(message.text)) }),
      }),
    ];
  },
  line({ actor, audience, data }, { who, quoted }) {
    const to = audience.filter((member) => member !== actor).map(who);
    return `${who(actor)} to ${to.join(', ')}, message ${data.seq}: ${quoted(data.text)}`;
  },
});

/** Copies field by field, as nearly all events come here: spreading the old state takes several times as long. */
const addMessage = (room: Room, lastSeq: number, marks: Room['marks']): Room =>
  room.erased
    ? { ...room, lastSeq, marks }
    : {
        exists: true,
        roomId: room.roomId,
        members: room.members,
        createdAt: room.createdAt,
        active: room.active,
        lastSeq,
        marks,
      };

export const sendMessage = clientCommand('send message', roomStream, {
  data: { roomId: Id, messageId: Id, message: MessageText, replyTo: Id.exactOptional() },
  answer: z.strictObject({ message: Message, revision: Revision }),
  note: '`messageId` is of the sender’s choice: sent again with the same body it gets the first answer, with another it is a `conflict`. `seq` is 1, 2, 3 … in its room, without a hole.',
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, messageId, replyTo }) => ({
    messages: [{ roomId, messageId }, ...(replyTo === undefined ? [] : [{ roomId, messageId: replyTo }])],
  }),
  seals: {
    text: ({ message }) => message,
    owner: ({ actor }) => actor,
    context: ({ roomId, messageId }) => messageContext(roomId, messageId),
  },
  decide(command, state, facts): Decision<Sent> {
    const found = roomOfMember(state, command);
    if ('refused' in found) return found;
    const { room } = found;
    const { actor, roomId, messageId, message, replyTo } = command;
    const body = {
      messageId,
      roomId,
      senderId: actor,
      message,
      ...(replyTo === undefined ? {} : { replyTo }),
    };
    const answer = (seq: number, sentAt: string): Sent => ({
      message: { ...body, seq, sentAt },
      ...(seq === 1 ? { contacts: room.members } : {}),
    });
    const earlier = facts.message({ roomId, messageId });
    if (earlier) {
      if (earlier.senderId === actor && earlier.replyTo === replyTo && earlier.hasText(message))
        return { events: [], answer: answer(earlier.seq, earlier.sentAt) };
      return {
        refused: new ParleyError('conflict', `message ${messageId} exists with another body or sender`),
      };
    }
    if (room.erased) return { refused: forbidden('the other member has been erased') };
    if (replyTo !== undefined && !facts.message({ roomId, messageId: replyTo })) {
      const reason = 'must be the id of an earlier message in the room';
      return { refused: badRequest(`replyTo ${reason}`, [{ path: 'replyTo', message: reason }]) };
    }
    const seq = room.lastSeq + 1;
    const data = { roomId, messageId, seq, text: facts.sealed };
    const sent = MessageSent.of(roomId, replyTo === undefined ? data : { ...data, replyTo }, room.members);
    const opened = room.members.filter((member) => !room.active.includes(member));
    return {
      events: [...opened.map((member) => openChat(room, member)), sent],
      answer: answer(seq, facts.now),
    };
  },
  reply: (_, { message }, revision) => ({ message, revision }),
  // The first message makes its room's members contacts.
  contacts: (_, { contacts }) => contacts,
});

interface Sent {
  readonly message: Message;
  readonly contacts?: Room['members'];
}

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

/** The message as clients get it; a text of null is an erased one. */
export function openedMessage(sealed: SealedMessage, text: string | null): Message {
  const { messageId, roomId, seq, senderId, replyTo, sentAt } = sealed;
  return {
    messageId,
    roomId,
    seq,
    senderId,
    message: text,
    ...(replyTo === undefined ? {} : { replyTo }),
    sentAt,
    ...(text === null ? { erased: true as const } : {}),
  };
}

/** A message of the history: its text sealed. */
export type StoredMessage = Omit<SealedMessage, 'roomId'>;

/**
 * A message's name among all rooms. The message id comes first: ids of UUIDv7 grow with time, so that an index of
 * them grows at its end.
 */
export const messageTerm = ({ roomId, messageId }: MessageRef): string => `${messageId}/${roomId}`;
