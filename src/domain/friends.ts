import { z } from 'zod';
import { badRequest, notFound, unauthenticated } from '../base/errors.js';
import { completedCommand } from './defineCommand.js';
import { event } from './defineEvent.js';
import { push } from './definePush.js';
import { Id, Revision } from './fields.js';
import { friendshipIdOf, pairOf } from './ids.js';
import { friendshipStream } from './streams.js';
import { User } from './userMessageChat.js';

/** Friendships: mutual, without consent, made once. */

export const addFriendPush = push('add friend', {
  isStored: true,
  data: z.strictObject({ friend: User }),
  note: 'To the new friend and to my other devices.',
});

/** The actor is who asked. `members` are in ascending order. */
export const FriendAdded = event('FriendAdded', friendshipStream, {
  data: z.strictObject({ members: z.tuple([z.string(), z.string()]).readonly() }),
  evolve: () => ({ added: true }),
  push({ audience, data: { members } }) {
    const [a, b] = members;
    const tell = (me: string, friend: string) =>
      addFriendPush.of({
        to: audience.includes(me) ? [me] : [],
        users: [friend],
        contacts: members,
        data: ({ user }) => ({ friend: user(friend) }),
      });
    return [tell(a, b), tell(b, a)];
  },
  line: ({ data: { members } }, { who }) => `${members.map(who).join(' and ')} became friends`,
});

/** `isNew`: this command made them friends. */
export const addFriend = completedCommand('add friend', friendshipStream, {
  data: { friendId: Id },
  answer: z.strictObject({ friend: User, revision: Revision }),
  note: 'Makes the two friends of each other; needs no consent.',
  streamId: ({ actor, friendId }) => friendshipIdOf(actor, friendId),
  wants: ({ actor, friendId }) => ({ users: [friendId, actor] }),
  decide({ actor, friendId }, { added }, { exists }) {
    // The command may have been sent before the actor was erased.
    if (!exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (actor === friendId) return { refused: badRequest('you cannot add yourself as a friend') };
    if (!exists(friendId)) return { refused: notFound(`there is no user ${friendId}`) };
    if (added) return { events: [], answer: { isNew: false } };
    const members = pairOf(actor, friendId);
    const made = FriendAdded.of(friendshipIdOf(actor, friendId), { members }, members);
    return { events: [made], answer: { isNew: true } };
  },
  contacts: ({ actor, friendId }) => [actor, friendId],
});
