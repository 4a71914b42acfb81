import { z } from 'zod';
import { badRequest } from '../base/errors.js';
import { command, type Decision, request } from './defineCommand.js';
import { event, push, type Topic } from './defineEvent.js';
import { Id, Revision, Seq } from './fields.js';
import { countInWindows, type Group, membersOf, windowsOf } from './groups/groupState.js';
import type { UserId } from './ids.js';
import { SHOWN_MEMBERS } from './limits.js';
import { type Room, type RoomState, roomOfMember, roomStream } from './streams.js';

/** Read marks: up to which `seq` a member has read. A mark never goes back. */

export const topic: Topic = 'messages';

export const readMessagesPush = push('read messages', {
  isStored: true,
  data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int().min(0) }),
  note: 'A member’s read mark has moved.',
});

/**
 * `own`: the mark goes to the member's own devices only, as the group is so large or the member had `receipts` off.
 */
export const MessagesRead = event('MessagesRead', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int().min(0),
    own: z.literal(true).exactOptional(),
  }),
  evolve(state, { data: { userId, upTo } }): RoomState {
    if (!state.exists) return state;
    if (state.roomType === 'PRIVATE') return { ...state, marks: { ...state.marks, [userId]: upTo } };
    const mark = Math.max(upTo, state.members?.get(userId)?.mark ?? 0);
    return { ...state, members: state.members?.with(userId, { mark }) };
  },
  push: ({ data: { own, ...data } }, { members }) => [
    readMessagesPush.of({
      to: own ? [data.userId] : members,
      room: data.roomId,
      readBy: data.userId,
      onlyNewest: `${data.roomId}/${data.userId}`,
      data: () => data,
    }),
  ],
  line: ({ data }, { who }) => `${who(data.userId)} has read room ${data.roomId} up to message ${data.upTo}`,
});

const markIn = (room: Room | Group, user: UserId): number =>
  (room.roomType === 'PRIVATE' ? room.marks[user] : membersOf(room).get(user)?.mark) ?? 0;

function unreadIn(room: Room | Group, user: UserId, mark: number): number {
  if (room.roomType === 'PRIVATE') return room.lastSeq - mark;
  const member = membersOf(room).get(user);
  return member ? countInWindows(windowsOf(member), mark, room.lastSeq) : 0;
}

export const readMessagesRequest = request('read messages', {
  data: z.strictObject({ roomId: Id, upTo: Seq.exactOptional() }),
  answer: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int().min(0),
    unread: z.int().min(0),
    revision: Revision,
  }),
  note: 'Moves my read mark up to `upTo`, or to the newest message. A mark never moves back.',
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
    const { room } = found;
    const { lastSeq } = room;
    const upTo = command.upTo ?? lastSeq;
    if (upTo > lastSeq) {
      const message = `must be at most the newest seq, ${lastSeq}`;
      return { refused: badRequest(`upTo ${message}`, [{ path: 'upTo', message }]) };
    }
    const mark = markIn(room, actor);
    const now = Math.max(mark, upTo);
    const answer = { upTo: now, unread: unreadIn(room, actor, now) };
    if (upTo <= mark) return { events: [], answer };
    const isOwn = command.hidden || (room.roomType === 'GROUP' && membersOf(room).count > SHOWN_MEMBERS);
    const data = { roomId, userId: actor, upTo };
    return { events: [MessagesRead.of(roomId, isOwn ? { ...data, own: true } : data)], answer };
  },
  // Without `upTo`, a repeat could mark newer messages as read that the user has not seen.
  isRepeatable: ({ upTo }) => upTo !== undefined,
});
