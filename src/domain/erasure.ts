import { z } from 'zod';
import { notFound } from '../base/errors.js';
import { command } from './defineCommand.js';
import { event, push, type Topic } from './defineEvent.js';
import { membersOf } from './groups/groupState.js';
import { leave } from './groups/groups.js';
import { hiddenIn, UserWentOffline } from './onlineStatus.js';
import { changed, isGroup, type RoomState, roomStream, unchanged, userStream } from './streams.js';

/** The end of a user, and of a member in each of their rooms. Keys are destroyed after `UserErased`. */

export const topic: Topic = 'people';

export const eraseUserPush = push('erase user', {
  isStored: true,
  data: z.strictObject({ roomId: z.string(), userId: z.string() }),
  note: 'A member was erased: their name and the texts of their messages are gone.',
});

/** The actor is the user. */
export const UserErased = event('UserErased', userStream, {
  data: z.strictObject({ userId: z.string() }),
  evolve: () => ({ registered: true, online: false, erased: true as const }),
  line: ({ data }, { who }) => `the account of ${who(data.userId)} was erased`,
});

/**
 * Ends a private chat: neither member can write in it any more. In a group the others go on: it says that the user was
 * erased who has left it and had written in it.
 */
export const MemberErased = event('MemberErased', roomStream, {
  data: z.strictObject({ roomId: z.string(), userId: z.string() }),
  evolve(state, { data: { userId } }): RoomState {
    if (!state.exists) return state;
    if (state.roomType === 'PRIVATE') return { ...state, erased: [...state.erased, userId] };
    return { ...state, members: state.members?.with(userId, { hasWritten: false }) };
  },
  push: ({ data }, { members }) => [eraseUserPush.of({ to: members, room: data.roomId, data: () => data })],
  line: ({ data }, { who }) => `${who(data.userId)} is erased from room ${data.roomId}`,
});

export const eraseUser = command('erase user', userStream, {
  fields: { userId: z.string() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  decide({ userId }, state, { now }) {
    if (!state.registered) return { refused: notFound(`there is no user ${userId}`) };
    if (state.erased) return unchanged;
    const erased = UserErased.of(userId, { userId });
    return state.online
      ? changed(UserWentOffline.of(userId, { userId, lastSeen: now, ...hiddenIn(state) }), erased)
      : changed(erased);
  },
});

/** The user has been erased, and was or may be a member of the room. Leaves a group. */
export const eraseMember = command('erase member', roomStream, {
  fields: { roomId: z.string(), userId: z.string() },
  actor: 'system',
  streamId: ({ roomId }) => roomId,
  decide({ roomId, userId }, room) {
    if (isGroup(room)) {
      const member = membersOf(room).get(userId);
      if (!member) return unchanged;
      const left = member.role === undefined ? [] : leave(room, userId, userId);
      const erased = member.hasWritten ? [MemberErased.of(roomId, { roomId, userId })] : [];
      return left.length + erased.length > 0 ? changed(...left, ...erased) : unchanged;
    }
    // A room that does not exist, or is not theirs, has no such member: the caller can go on.
    if (!room.exists || !room.members.includes(userId) || room.erased.includes(userId)) return unchanged;
    return changed(MemberErased.of(roomId, { roomId, userId }));
  },
});
