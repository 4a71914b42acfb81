import { badRequest, notFound } from '../errors.js';
import { friendshipIdOf, streamOf } from '../events/ids.js';
import type { Answers, CommandOf } from './commands.js';
import type { Decider } from './decider.js';
import { pairOf } from './pair.js';

/** What deciding needs to know of a friendship. */
export interface FriendshipState {
  readonly added: boolean;
}

export interface FriendshipFacts {
  /** The other user is registered and not erased. */
  readonly otherExists: boolean;
}

/** A friendship is mutual, needs no consent, and is made once. */
export const friendshipDecider: Decider<
  CommandOf<'add friend'>,
  FriendshipState,
  FriendshipFacts,
  Answers['add friend']
> = {
  initial: { added: false },

  evolve(state, event) {
    return event.type === 'FriendAdded' ? { added: true } : state;
  },

  decide({ actor, friendId }, { added }, { otherExists }) {
    if (actor === friendId) return { refused: badRequest('one cannot be a friend of oneself') };
    if (!otherExists) return { refused: notFound(`there is no user ${friendId}`) };
    if (added) return { events: [], answer: { isNew: false } };
    const members = pairOf(actor, friendId);
    const stream = streamOf('friendship', friendshipIdOf(actor, friendId));
    return {
      events: [{ type: 'FriendAdded', stream, data: { members }, audience: members }],
      answer: { isNew: true },
    };
  },
};
