import { z } from 'zod';
import { badRequest } from '../base/errors.js';
import { clientCommand, type Decision } from './defineCommand.js';
import { event, push } from './defineEvent.js';
import { Id, Revision, Seq } from './fields.js';
import { inRoom, roomOfMember, roomStream } from './streams.js';

/** Read marks: up to which `seq` a member has read. A mark never goes back. */

export const readMessagesPush = push('read messages', {
  isStored: true,
  data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int().min(0) }),
  note: 'A member’s read mark has moved.',
});

export const MessagesRead = event('MessagesRead', roomStream, {
  data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int().min(0) }),
  evolve: inRoom((room, { data }) => ({ ...room, marks: { ...room.marks, [data.userId]: data.upTo } })),
  push: ({ data }, { members }) => [
    readMessagesPush.of({
      to: members,
      room: data.roomId,
      onlyNewest: `${data.roomId}/${data.userId}`,
      data: () => data,
    }),
  ],
  line: ({ data }, { who }) => `${who(data.userId)} has read room ${data.roomId} up to message ${data.upTo}`,
});

export const readMessages = clientCommand('read messages', roomStream, {
  data: { roomId: Id, upTo: Seq.exactOptional() },
  answer: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int().min(0),
    unread: z.int().min(0),
    revision: Revision,
  }),
  note: 'Moves my read mark up to `upTo`, or the newest; it never goes back.',
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
    const moved = MessagesRead.of(roomId, { roomId, userId: actor, upTo });
    return { events: [moved], answer: { upTo, unread: lastSeq - upTo } };
  },
  reply: ({ roomId, actor: userId }, { upTo, unread }, revision) => ({
    roomId,
    userId,
    upTo,
    unread,
    revision,
  }),
  // Without `upTo`, a repeat could mark newer messages as read that the user has not seen.
  isRepeatable: ({ upTo }) => upTo !== undefined,
});
