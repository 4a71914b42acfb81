import { z } from 'zod';
import { notFound } from '../../base/errors.js';
import { command, type Decision } from '../defineCommand.js';
import type { Topic } from '../defineEvent.js';
import { changed, roomStream, unchanged } from '../streams.js';
import { deleteMessage, MessageDeleted } from './messages.js';

/** Deletions that no member asks for. */

export const topic: Topic = 'messages';

/** Deletes a message as its sender would by `delete message`. The host application asks for it. */
export const deleteForSender = command('delete for sender', roomStream, {
  fields: { roomId: z.string(), messageId: z.string() },
  actor: 'system',
  streamId: ({ roomId }) => roomId,
  wants: (message) => ({ messages: [message] }),
  decide({ roomId, messageId }, state, facts): Decision<{ readonly changed: boolean }> {
    const found = facts.message({ roomId, messageId });
    if (!found) return { refused: notFound(`there is no message ${messageId} in this room`) };
    const own = { kind: 'delete message', actor: found.senderId, roomId, messageId } as const;
    return deleteMessage.decide(own, state, facts);
  },
});

/** Removes a message on an operator's order. `not_found` if the room has no such message. */
export const removeMessage = command('remove message', roomStream, {
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

/** Deletes a message by the decision of a report. `not_found` if the room has no such message. */
export const deleteReported = command('delete reported message', roomStream, {
  fields: { roomId: z.string(), messageId: z.string(), by: z.string() },
  actor: 'by',
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, messageId }) => ({ messages: [{ roomId, messageId }] }),
  decide({ roomId, messageId, by }, _, { message }) {
    const found = message({ roomId, messageId });
    if (!found) return { refused: notFound(`room ${roomId} has no message ${messageId}`) };
    if (found.deleted) return unchanged;
    const { seq, senderId } = found;
    return changed(MessageDeleted.of(roomId, { roomId, messageId, seq, senderId, by }));
  },
});
