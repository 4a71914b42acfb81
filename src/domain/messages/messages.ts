import { z } from 'zod';
import { badRequest, conflict, forbidden, notFound, type ParleyError } from '../../base/errors.js';
import { ChatOpened } from '../chats.js';
import {
  clientCommand,
  completedCommand,
  type Decision,
  type EarlierMessage,
  type Facts,
  hostRefusal,
  request,
} from '../defineCommand.js';
import {
  event,
  isGroupAudience,
  type NewEventOf,
  push,
  type RecordedOf,
  type SealedMessage,
  type Topic,
} from '../defineEvent.js';
import { Id, Limit, Revision, Seq } from '../fields.js';
import { type Group, membersOf } from '../groups/groupState.js';
import type { UserId } from '../ids.js';
import { refusalToWrite, strangerTo } from '../safety.js';
import {
  canSee,
  changed,
  isGroup,
  isRoomAdmin,
  notMember,
  otherOf,
  type Room,
  type RoomState,
  roomOfMember,
  roomStream,
  unchanged,
  withPins,
  withUser,
} from '../streams.js';
import { Message } from '../userMessageChat.js';
import { checkMentions, MessageBodyFields, MessageData, sameData, sameMentions } from './messageBody.js';
import { dataPart, deletedMessage, openedMessage, textContext } from './sealedMessages.js';

/** Messages: `seq` is 1, 2, 3 … in a room; a `messageId` is unique in its room for ever. */

export const topic: Topic = 'messages';

export const sendMessagePush = push('send message', {
  isStored: true,
  data: z.strictObject({ message: Message }),
  note: 'To all joined connections of all members, except the connection that sent it.',
});

const MessageSentData = z.strictObject({
  roomId: z.string(),
  messageId: z.string(),
  seq: z.int().min(1),
  text: z.string(),
  data: z.string().exactOptional(),
  mentions: z.array(z.string()).exactOptional(),
  replyTo: z.string().exactOptional(),
});

type Sent = RecordedOf<'MessageSent', z.output<typeof MessageSentData>>;

/** What seals a text of a new message, in this context. */
const sealing = ({ actor, data: { roomId, seq } }: Sent, context: string) => ({
  owner: actor,
  place: { roomId, seq, rev: 0 },
  context,
});

export const MessageSent = event('MessageSent', roomStream, {
  data: MessageSentData,
  sealed: [
    { field: 'text', of: (sent) => sealing(sent, textContext(sent.data)) },
    {
      field: 'data',
      of: (sent) => sealing(sent, textContext({ ...sent.data, isData: true })),
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
      contacts: withUser(room.contacts, actor),
      blocks: room.blocks,
      pins: room.pins,
    };
  },
  push(sent, { members, message = sealedMessage(sent) }) {
    const { actor, data } = sent;
    return [
      sendMessagePush.of({
        to: members,
        room: data.roomId,
        message,
        endsTypingOf: actor,
        data: (shown) => ({ message: openedMessage(message, (text) => shown.text(text)) }),
      }),
    ];
  },
  // Who writes to the other member of a pair has them as a contact. A group makes nobody a contact.
  tie({ actor }, { members }) {
    const [a, b] = isGroupAudience(members) ? [] : members;
    const other = a === actor ? b : b === actor ? a : undefined;
    return other === undefined ? undefined : { by: actor, other, is: 'contact' };
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

/** The keys of the message's texts are destroyed after it: see `erasure/deletedTexts.ts`. */
export const MessageDeleted = event('MessageDeleted', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    senderId: z.string(),
    by: z.string(),
  }),
  evolve: (room, { data }): RoomState =>
    room.exists && room.pins.includes(data.messageId)
      ? withPins(
          room,
          room.pins.filter((messageId) => messageId !== data.messageId),
        )
      : room,
  changes: (message, event) => deletedMessage(message, event),
  push: ({ data: { roomId, messageId, seq, by } }, { members }) => [
    deleteMessagePush.of({ to: members, seq, room: roomId, data: () => ({ roomId, messageId, seq, by }) }),
  ],
  line: ({ data }, { who }) => `${who(data.by)} deleted message ${data.seq} of room ${data.roomId}`,
});

export const sendMessage = clientCommand('send message', roomStream, {
  data: {
    roomId: Id,
    messageId: Id,
    ...MessageBodyFields,
    data: MessageData.exactOptional(),
    replyTo: Id.exactOptional(),
  },
  answer: z.strictObject({ message: Message, revision: Revision }),
  note: 'The sender chooses `messageId`. A repeat with the same body is answered with the message as it is now; with another body it is a `conflict`. `seq` counts 1, 2, 3 … in its room, without a gap.',
  streamId: ({ roomId }) => roomId,
  wants({ actor, roomId, messageId, replyTo }, state, rule) {
    const wants = {
      messages: [{ roomId, messageId }, ...(replyTo === undefined ? [] : [{ roomId, messageId: replyTo }])],
      textKeys: [{ owner: actor, roomId }],
    };
    const asked = state && strangerTo(state, actor, rule);
    return asked === undefined ? wants : { ...wants, preferences: [asked] };
  },
  text: 'message',
  asksHost: true,
  decide(command, state, facts): Decision<SentAnswer> {
    const { actor, roomId, messageId, message, replyTo } = command;
    // A repeat gets its answer even from somebody who has left since.
    const found = roomOfMember(state, command);
    if ('refused' in found && !hasLeft(state, actor)) return found;
    const room = 'refused' in found ? state : found.room;
    if (!room.exists) return { refused: notMember() };
    const earlier = facts.message({ roomId, messageId });
    if (earlier) {
      if (isSameBody(command, earlier)) return { events: [], answer: { message: earlier.opened() } };
      return { refused: conflict(`message ${messageId} exists with another body or sender`) };
    }
    const refused =
      'refused' in found ? found.refused : (refusalToSend(room, actor, facts) ?? hostRefusal(command));
    if (refused) return { refused };
    if (replyTo !== undefined) {
      const quoted = facts.message({ roomId, messageId: replyTo });
      if (!quoted || !canSee(room, actor, quoted.seq)) {
        const reason = 'must be the id of an earlier message in the room';
        return { refused: badRequest(`replyTo ${reason}`, [{ path: 'replyTo', message: reason }]) };
      }
    }
    const seq = room.lastSeq + 1;
    const events: NewEventOf<string, object>[] = [];
    if (room.roomType === 'PRIVATE')
      for (const member of room.members)
        if (!room.active.includes(member)) events.push(ChatOpened.of(roomId, { roomId, userId: member }));
    // Written out: to spread objects took longer than the rest of this function.
    if (command.mentions === undefined && command.data === undefined) {
      const data = { roomId, messageId, seq, text: message };
      events.push(MessageSent.of(roomId, replyTo === undefined ? data : { ...data, replyTo }));
      const sent = { messageId, roomId, seq, senderId: actor, message, sentAt: facts.now };
      return { events, answer: sentAnswer(room, replyTo === undefined ? sent : { ...sent, replyTo }) };
    }
    const mentions = checkMentions(room, command.mentions);
    if ('refused' in mentions) return mentions;
    const quoted = replyTo === undefined ? {} : { replyTo };
    const { data } = command;
    const json = data === undefined ? {} : { data: JSON.stringify(data) };
    events.push(
      MessageSent.of(roomId, { roomId, messageId, seq, text: message, ...json, ...mentions, ...quoted }),
    );
    const shown = { ...quoted, ...mentions, ...(data === undefined ? {} : { data }) };
    const sent = { messageId, roomId, seq, senderId: actor, message, ...shown, sentAt: facts.now };
    return { events, answer: sentAnswer(room, sent) };
  },
  reply: (_, { message }, revision) => ({ message, revision }),
  tie: ({ actor }, { contact }) =>
    contact === undefined ? undefined : { by: actor, other: contact, is: 'contact' },
});

interface Body {
  readonly actor: string;
  readonly message: string;
  readonly mentions?: readonly string[];
  readonly data?: Record<string, unknown>;
  readonly replyTo?: string;
}

/** Whether a message was sent with this body. Of a deleted one, texts and mentions cannot be compared any more. */
function isSameBody(body: Body, earlier: EarlierMessage): boolean {
  if (earlier.senderId !== body.actor || earlier.replyTo !== body.replyTo) return false;
  if (earlier.deleted) return true;
  const first = earlier.bodyOf(0);
  return (
    first.text === body.message &&
    sameMentions(first.mentions, body.mentions) &&
    sameData(dataPart(earlier) && earlier.openedData(), body.data)
  );
}

interface SentAnswer {
  readonly message: Message;
  /** This command has sent it. */
  readonly isNew?: true;
  /** The other member, whom the message has made a contact of its sender. */
  readonly contact?: UserId;
}

const sentAnswer = (room: Room | Group, message: Message): SentAnswer =>
  room.roomType === 'GROUP' || room.contacts.includes(message.senderId)
    ? { message, isNew: true }
    : { message, isNew: true, contact: otherOf(room, message.senderId) };

const hasLeft = (state: RoomState, user: UserId): boolean =>
  isGroup(state) && membersOf(state).get(user) !== undefined;

/** Why a member of the room may not send. */
function refusalToSend(room: Room | Group, actor: UserId, facts: Facts): ParleyError | undefined {
  if (room.roomType === 'PRIVATE') return refusalToWrite(room, actor, facts);
  if (room.settings.whoSends === 'members' || isRoomAdmin(room, actor)) return undefined;
  return forbidden('only admins send messages to this group', 'admins_only');
}

/**
 * Deletes a message of mine, or as an admin of the group any. The answer of the gateway waits until the keys of its
 * texts are destroyed.
 */
export const deleteMessage = completedCommand('delete message', roomStream, {
  data: { roomId: Id, messageId: Id },
  answer: z.strictObject({ revision: Revision }),
  note: 'Deletes my message within `DELETE_WINDOW`, or any message if I am an admin of the group. The answer comes when the keys of its texts are destroyed.',
  streamId: ({ roomId }) => roomId,
  wants: (message) => ({ messages: [message] }),
  decide(command, state, { now, limits, message }): Decision<{ readonly changed: boolean }> {
    const found = roomOfMember(state, command);
    if ('refused' in found) return found;
    const { room } = found;
    const { actor, roomId, messageId } = command;
    const earlier = message({ roomId, messageId });
    if (!earlier || !canSee(room, actor, earlier.seq))
      return { refused: notFound(`there is no message ${messageId} in this room`) };
    const isAdmin = isRoomAdmin(room, actor);
    const { seq, senderId, sentAt } = earlier;
    if (senderId !== actor && !isAdmin)
      return { refused: forbidden('only its sender can delete this message', 'not_sender') };
    if (earlier.deleted) return unchanged;
    if (!isAdmin && !isWithin(limits.deleteWindowMs, sentAt, now))
      return { refused: forbidden('this message can no longer be deleted', 'too_late') };
    return changed(MessageDeleted.of(roomId, { roomId, messageId, seq, senderId, by: actor }));
  },
});

/** Whether less time than the window has passed. */
export const isWithin = (windowMs: number, sentAt: string, now: string): boolean =>
  Date.parse(now) - Date.parse(sentAt) < windowMs;

export const fetchMessages = request('fetch messages', {
  data: z
    .strictObject({
      roomId: Id,
      before: Seq.exactOptional(),
      after: Seq.exactOptional(),
      around: z.union([Id, Seq]).exactOptional(),
      limit: Limit,
      revision: Revision.exactOptional(),
    })
    .refine((d) => d.before === undefined || d.after === undefined, {
      message: 'give before or after, not both',
      path: ['after'],
    })
    .refine((d) => d.around === undefined || (d.before === undefined && d.after === undefined), {
      message: 'give around without before and after',
      path: ['around'],
    }),
  answer: z.strictObject({ messages: z.array(Message), hasMore: z.boolean() }),
  note: 'The messages come in ascending `seq`. `before` and `after` are exclusive; without them, the newest messages come. `around` is a `messageId` or a `seq`: half of the page is from this message on, the rest is before it. `hasMore` tells of more in the requested direction, with `around` of more before.',
});

/** The message that a `MessageSent` records. */
export function sealedMessage({ actor, recordedAt, data: sent }: Sent): SealedMessage {
  const { roomId, messageId, seq, text, data, mentions, replyTo } = sent;
  // Nearly all are such, and spreading takes several times as long.
  if (data === undefined && replyTo === undefined && mentions === undefined)
    return { messageId, roomId, seq, senderId: actor, text, sentAt: recordedAt };
  return {
    ...{ messageId, roomId, seq, senderId: actor, text },
    ...(data === undefined ? {} : { data }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(mentions === undefined ? {} : { mentions }),
    sentAt: recordedAt,
  };
}
