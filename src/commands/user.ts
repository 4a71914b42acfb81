import { notFound } from '../errors.js';
import { streamOf, type UserId } from '../events/ids.js';
import type { Sealed } from '../events/types.js';
import type { Answers, CommandOf } from './commands.js';
import type { Decider } from './decider.js';

/** What deciding needs to know of a user. */
export interface UserState {
  readonly registered: boolean;
  readonly online: boolean;
}

/** The user's own commands; the name is sealed before anything is decided. */
export type UserCommand =
  | (Omit<CommandOf<'register user'>, 'username'> & { readonly username: Sealed })
  | CommandOf<'go online' | 'go offline'>;

/** What is true beside the stream when a command is decided. */
export interface UserFacts {
  /** Some node has an active device of the user, or had a moment ago. */
  readonly isActive: boolean;
}

type UserAnswer = Answers['register user' | 'go online' | 'go offline'];

const unregistered = (userId: UserId) => ({ refused: notFound(`there is no user ${userId}`) });
const unchanged = { events: [], answer: { changed: false } } as const;

/** Registration and presence. Presence has no audience: it goes to the subject's contacts. */
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
      default:
        return state;
    }
  },

  decide(command, state, { isActive }) {
    const { userId } = command;
    const stream = streamOf('user', userId);
    switch (command.kind) {
      case 'register user': {
        if (state.registered) return { events: [], answer: { isNew: false } };
        const { username, backgroundColor } = command;
        const data = { userId, username, backgroundColor };
        return {
          events: [{ type: 'UserRegistered', stream, data, audience: [userId] }],
          answer: { isNew: true },
        };
      }
      case 'go online':
        if (!state.registered) return unregistered(userId);
        if (state.online) return unchanged;
        return {
          events: [{ type: 'UserWentOnline', stream, data: { userId }, audience: [] }],
          answer: { changed: true },
        };
      case 'go offline': {
        if (!state.registered) return unregistered(userId);
        // Who becomes active on another node meanwhile says so there first, and goes online after this.
        if (!state.online || isActive) return unchanged;
        const data = { userId, lastSeen: command.lastSeen };
        return {
          events: [{ type: 'UserWentOffline', stream, data, audience: [] }],
          answer: { changed: true },
        };
      }
    }
  },
};
