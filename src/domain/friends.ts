import { z } from 'zod';
import { badRequest, notFound, unauthenticated } from '../base/errors.js';
import { completedCommand, request } from './defineCommand.js';
import { event, push } from './defineEvent.js';
import { Id, Limit, Revision } from './fields.js';
import { roomIdOf } from './ids.js';
import { pairIn, roomStream } from './streams.js';
import { User } from './userMessageChat.js';

/** Friendships: without consent, in the pair's stream. To add is each one's own doing. */

export const addFriendPush = push('add friend', {
  isStored: true,
  data: z.strictObject({ friend: User }),
  note: 'To the new friend and to my other devices.',
});

/**
 * `by` added `target`. It puts each into the other's list. `mutual`: the target had added `by` before, so that it
 * changes neither list and is pushed to nobody.
 */
export const FriendAdded = event('FriendAdded', roomStream, {
  data: z.strictObject({ by: z.string(), target: z.string(), mutual: z.literal(true).exactOptional() }),
  evolve(state, { data }) {
    const pair = pairIn(state);
    return { ...pair, added: [...pair.added, data.by] };
  },
  push({ data: { by, target, mutual } }) {
    if (mutual) return [];
    const tell = (me: string, friend: string) =>
      addFriendPush.of({
        to: [me],
        users: [friend],
        contacts: [by, target],
        data: (shown) => ({ friend: shown.user(friend) }),
      });
    return [tell(by, target), tell(target, by)];
  },
  line: ({ data: { by, target } }, { who }) => `${who(by)} added ${who(target)} as a friend`,
});

export const getFriends = request('get friends', {
  data: z.strictObject({
    limit: Limit,
    next: z.string().min(1).max(256).exactOptional(),
    revision: Revision.exactOptional(),
  }),
  answer: z.strictObject({ friends: z.array(User), next: z.string().exactOptional() }),
  note: 'In an order that does not change. `next` goes into `next` for the page behind it; absent at the end.',
});

/** `isNew`: this command made them friends. */
export const addFriend = completedCommand('add friend', roomStream, {
  data: { friendId: Id },
  answer: z.strictObject({ friend: User, revision: Revision }),
  note: 'Makes the two friends of each other; needs no consent.',
  streamId: ({ actor, friendId }) => roomIdOf(actor, friendId),
  wants: ({ actor, friendId }) => ({ users: [friendId, actor] }),
  decide({ actor, friendId }, state, { exists }) {
    const { added } = pairIn(state);
    // The command may have been sent before the actor was erased.
    if (!exists(actor)) return { refused: unauthenticated('this user has been erased') };
    if (actor === friendId) return { refused: badRequest('you cannot add yourself as a friend') };
    if (!exists(friendId)) return { refused: notFound(`there is no user ${friendId}`) };
    if (added.includes(actor)) return { events: [], answer: { isNew: false } };
    const isNew = added.length === 0;
    const data = { by: actor, target: friendId };
    const made = FriendAdded.of(roomIdOf(actor, friendId), isNew ? data : { ...data, mutual: true });
    return { events: [made], answer: { isNew } };
  },
  contacts: ({ actor, friendId }) => [actor, friendId],
});
