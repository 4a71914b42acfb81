import { z } from 'zod';
import { badRequest } from '../base/errors.js';
import { command, type Decision, request } from './defineCommand.js';
import { event, push } from './defineEvent.js';
import { Id, Revision, Seq } from './fields.js';
import { inRoom, roomOfMember, roomStream } from './streams.js';

/** Read marks: up to which `seq` a member has read. A mark never goes back. */

export const readMessagesPush = push('read messages', {
  isStored: true,
  data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int().min(0) }),
  note: 'A member’s read mark has moved.',
});

/** `hidden`: its reader had `receipts` off, so that it goes to their own devices only. */
export const MessagesRead = event('MessagesRead', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int().min(0),
    hidden: z.literal(true).exactOptional(),
  }),
  evolve: inRoom((room, { data }) => ({ ...room, marks: { ...room.marks, [data.userId]: data.upTo } })),
  push: ({ data: { roomId, userId, upTo, hidden } }, { members }) => [
    readMessagesPush.of({
      to: hidden ? [userId] : members,
      room: roomId,
      readBy: userId,
      onlyNewest: `${roomId}/${userId}`,
      data: () => ({ roomId, userId, upTo }),
    }),
  ],
  line: ({ data }, { who }) => `${who(data.userId)} has read room ${data.roomId} up to message ${data.upTo}`,
});

export const readMessagesRequest = request('read messages', {
  data: z.strictObject({ roomId: Id, upTo: Seq.exactOptional() }),
  answer: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int().min(0),
    unread: z.int().min(0),
    revision: Revision,
  }),
  note: 'Moves my read mark up to `upTo`, or the newest; it never goes back.',
});

/** `hidden`: the gateway found that the reader has `receipts` off, a preference that lies in another stream. */
export const readMessages = command('read messages', roomStream, {
  fields: {
    roomId: z.string(),
    upTo: Seq.exactOptional(),
    actor: z.string(),
    hidden: z.literal(true).exactOptional(),
  },
  actor: 'actor',
  streamId: ({ roomId }) => roomId,
  decide(command, state): Decision<{ readonly upTo: number; readonly unread: number }> {
    const found = roomOfMember(state, command);
    if ('refused' in found) return found;
    const { actor, roomId } = command;
    const { lastSeq, marks } = found.room;
    const upTo = command.upTo ?? lastSeq;
    if (upTo > lastSeq) {
      const message = `must be at most the newest seq, ${lastSeq}`;
      return { refused: badRequest(`upTo ${message}`, [{ path: 'upTo', message }]) };
    }
    const mark = marks[actor] ?? 0;
    if (upTo <= mark) return { events: [], answer: { upTo: mark, unread: lastSeq - mark } };
    const data = { roomId, userId: actor, upTo, ...(command.hidden ? { hidden: command.hidden } : {}) };
    const moved = MessagesRead.of(roomId, data);
    return { events: [moved], answer: { upTo, unread: lastSeq - upTo } };
  },
  // Without `upTo`, a repeat could mark newer messages as read that the user has not seen.
  isRepeatable: ({ upTo }) => upTo !== undefined,
});
