import { z } from 'zod';
import { conflict, forbidden } from '../../base/errors.js';
import { clientCommand, type Decision, hostRefusal, request } from '../defineCommand.js';
import {
  type Audience,
  event,
  push,
  type RecordedOf,
  type SealedMessage,
  type Topic,
} from '../defineEvent.js';
import { Id, Revision, Time } from '../fields.js';
import { MESSAGE_EDITS } from '../limits.js';
import { messageOfMember, refusalIfEnded, roomStream } from '../streams.js';
import { Message } from '../userMessageChat.js';
import { checkMentions, MessageBodyFields, sameMentions } from './messageBody.js';
import { isWithin } from './messages.js';
import { firstBody, openedMessage, textContext } from './sealedMessages.js';

/** Edits: a message keeps its `seq`, and each edit raises its `rev`. Earlier texts stay readable until it is deleted. */

export const topic: Topic = 'messages';

export const editMessagePush = push('edit message', {
  isStored: true,
  data: z.strictObject({ roomId: z.string(), message: Message }),
  note: 'A message was edited. In a replay it stands for all changes of a message that was sent before the cursor.',
});

/**
 * The push that shows a message as it is now: of an edit, and in a replay of every change. A ring keeps it only for
 * connections that are nearly live, because the message may change again.
 */
export const showChanged = (message: SealedMessage, to: Audience) =>
  editMessagePush.of({
    to,
    seq: message.seq,
    room: message.roomId,
    message,
    onlyLive: true,
    data: (shown) => ({
      roomId: message.roomId,
      message: openedMessage(message, (text) => shown.text(text)),
    }),
  });

const MessageEditedData = z.strictObject({
  roomId: z.string(),
  messageId: z.string(),
  seq: z.int().min(1),
  editId: z.string(),
  rev: z.int().min(1),
  text: z.string(),
  mentions: z.array(z.string()).exactOptional(),
});

type Edited = RecordedOf<'MessageEdited', z.output<typeof MessageEditedData>>;

/** The actor is the message's sender. */
export const MessageEdited = event('MessageEdited', roomStream, {
  data: MessageEditedData,
  sealed: [
    {
      field: 'text',
      of: ({ actor, data }) => ({
        owner: actor,
        context: textContext(data),
        place: { roomId: data.roomId, seq: data.seq, rev: data.rev },
      }),
    },
  ],
  changes: (message, event) => editedMessage(message, event),
  showsMessage: true,
  // Whom it is for is asked without the message too.
  push: ({ data }, { members, message }) => [
    message
      ? showChanged(message, members)
      : editMessagePush.of({
          to: members,
          seq: data.seq,
          room: data.roomId,
          data: () => {
            throw new Error(`the push of an edit of message ${data.messageId} lacks the message`);
          },
        }),
  ],
  line: ({ actor, data }, { who, quoted }) =>
    `${who(actor)} edited message ${data.seq} of room ${data.roomId}: ${quoted(data.text)}`,
});

function editedMessage(message: SealedMessage, { data, recordedAt }: Edited): SealedMessage {
  const { mentions: _, ...rest } = message;
  const { text, mentions } = firstBody(message);
  return {
    ...rest,
    // A deleted message has no text, and is not edited.
    ...(text === null ? {} : { first: { text, ...(mentions ? { mentions } : {}) } }),
    text: data.text,
    ...(data.mentions ? { mentions: data.mentions } : {}),
    rev: data.rev,
    editedAt: recordedAt,
    edits: [...(message.edits ?? []), data.editId],
  };
}

export const editMessage = clientCommand('edit message', roomStream, {
  data: { roomId: Id, messageId: Id, editId: Id, ...MessageBodyFields },
  answer: z.strictObject({ message: Message, revision: Revision }),
  note: `Edits my message within \`EDIT_WINDOW\`, at most ${MESSAGE_EDITS} times. Repeat a request with the same \`editId\`. Without \`mentions\` the message no longer mentions anybody.`,
  streamId: ({ roomId }) => roomId,
  wants: ({ actor, roomId, messageId, editId }) => ({
    messages: [{ roomId, messageId, editId }],
    textKeys: [{ owner: actor, roomId }],
  }),
  text: 'message',
  asksHost: true,
  decide(command, state, facts): Decision<{ readonly message: Message }> {
    const { actor, roomId, messageId, editId, message: text } = command;
    const { now, limits } = facts;
    const found = messageOfMember(state, command, facts);
    if ('refused' in found) return found;
    const { room, message } = found;
    if (message.senderId !== actor)
      return { refused: forbidden('only its sender can edit this message', 'not_sender') };
    const made = (message.edits ?? []).indexOf(editId) + 1;
    if (made > 0) {
      const body = message.bodyOf(made);
      if (body.text === text && sameMentions(body.mentions, command.mentions))
        return { events: [], answer: { message: message.opened() } };
      return { refused: conflict(`edit ${editId} exists with another body`) };
    }
    const ended = refusalIfEnded(room, command.actor);
    if (ended) return ended;
    if (!isWithin(limits.editWindowMs, message.sentAt, now))
      return { refused: forbidden('this message can no longer be edited', 'too_late') };
    const refused = hostRefusal(command);
    if (refused) return { refused };
    const rev = (message.rev ?? 0) + 1;
    if (rev > MESSAGE_EDITS)
      return { refused: forbidden(`a message can be edited ${MESSAGE_EDITS} times`, 'too_many') };
    const mentions = checkMentions(room, command.mentions);
    if ('refused' in mentions) return mentions;
    const { seq } = message;
    const edited = MessageEdited.of(roomId, { roomId, messageId, seq, editId, rev, text, ...mentions });
    const { mentions: _, ...before } = message.opened();
    const answer = { message: { ...before, message: text, ...mentions, rev, editedAt: now } };
    return { events: [edited], answer };
  },
  reply: (_, { message }, revision) => ({ message, revision }),
});

export const getEdits = request('get edits', {
  data: z.strictObject({ roomId: Id, messageId: Id, revision: Revision.exactOptional() }),
  answer: z.strictObject({
    edits: z.array(z.strictObject({ rev: z.int().min(0), message: z.string().nullable(), at: Time })),
  }),
  note: 'The versions of a message, oldest first, beginning with `rev` 0, the first text. A deleted message has none.',
});

export const getMessage = request('get message', {
  data: z.strictObject({ roomId: Id, messageId: Id, revision: Revision.exactOptional() }),
  answer: z.strictObject({ message: Message }),
  note: 'One message by its id, as it is now, such as a pinned one or a quoted one that is far back.',
});
