import { badRequest, forbidden, notFound } from '../base/errors.js';
import type { Answers, CommandOf, Decider, Decision } from './commands.js';
import type { NewEvent, Sealed, Time } from './events.js';
import { friendshipIdOf, pairOf, streamOf, type UserId } from './ids.js';

/** What deciding needs to know of a user. */
export interface UserState {
  readonly registered: boolean;
  readonly online: boolean;
  readonly erased?: true;
  readonly auditor?: true;
}

/** The user's own commands; the name is sealed before anything is decided. */
export type UserCommand =
  | (Omit<CommandOf<'register user'>, 'username'> & { readonly username: Sealed })
  | CommandOf<
      'go online' | 'go offline' | 'erase user' | 'appoint auditor' | 'dismiss auditor' | 'record audit read'
    >;

/** What is true beside the stream when a command is decided. */
export interface UserFacts {
  /** The time of the commit. */
  readonly now: Time;
  /** Some node has an active device of the user, or had a moment ago. */
  readonly isActive: boolean;
}

type UserAnswer = Answers['register user' | 'go online'];

/**
 * Registration, presence, roles and the end of a user. Presence has no audience: it goes to the subject's contacts.
 * Of one who is erased nothing more is written.
 */
export const userDecider: Decider<UserCommand, UserState, UserFacts, UserAnswer> = {
  initial: { registered: false, online: false },

  evolve(state, event) {
    switch (event.type) {
      case 'UserRegistered':
        return { ...state, registered: true };
      case 'UserWentOnline':
        return { ...state, online: true };
      case 'UserWentOffline':
        return { ...state, online: false };
      case 'AuditorAppointed':
        return { ...state, auditor: true };
      case 'AuditorDismissed': {
        const { auditor: _, ...rest } = state;
        return rest;
      }
      case 'UserErased':
        return { registered: true, online: false, erased: true };
      default:
        return state;
    }
  },

  decide(command, state, facts) {
    if (command.kind === 'register user') return register(command, state);
    const { userId } = command;
    if (!state.registered) return { refused: notFound(`there is no user ${userId}`) };
    if (state.erased)
      return command.kind === 'erase user' ? unchanged : { refused: notFound(`user ${userId} is erased`) };
    const stream = streamOf('user', userId);
    switch (command.kind) {
      case 'go online':
        return state.online
          ? unchanged
          : changed({ type: 'UserWentOnline', stream, data: { userId }, audience: [] });
      case 'go offline':
        // Who becomes active on another node meanwhile says so there first, and goes online after this.
        return state.online && !facts.isActive ? changed(wentOffline(userId, command.lastSeen)) : unchanged;
      case 'erase user': {
        const erased: NewEvent = { type: 'UserErased', stream, data: { userId }, audience: [userId] };
        return state.online ? changed(wentOffline(userId, facts.now), erased) : changed(erased);
      }
      case 'appoint auditor':
        if (state.auditor) return unchanged;
        return changed({ type: 'AuditorAppointed', stream, data: { userId }, audience: [] });
      case 'dismiss auditor':
        if (!state.auditor) return unchanged;
        return changed({ type: 'AuditorDismissed', stream, data: { userId }, audience: [] });
      case 'record audit read': {
        if (!state.auditor) return { refused: forbidden('this is for auditors') };
        const { resource, query } = command;
        return changed({ type: 'AuditRead', stream, data: { userId, resource, query }, audience: [] });
      }
    }
  },
};

const unchanged = { events: [], answer: { changed: false } } as const;
const changed = (...events: NewEvent[]): Decision<UserAnswer> => ({ events, answer: { changed: true } });

const wentOffline = (userId: UserId, lastSeen: Time): NewEvent => ({
  type: 'UserWentOffline',
  stream: streamOf('user', userId),
  data: { userId, lastSeen },
  audience: [],
});

function register(
  { userId, username, backgroundColor }: Extract<UserCommand, { kind: 'register user' }>,
  { registered }: UserState,
): Decision<UserAnswer> {
  if (registered) return { events: [], answer: { isNew: false } };
  const data = { userId, username, backgroundColor };
  return {
    events: [{ type: 'UserRegistered', stream: streamOf('user', userId), data, audience: [userId] }],
    answer: { isNew: true },
  };
}

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
