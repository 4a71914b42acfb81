import { z } from 'zod';
import { command, request } from './defineCommand.js';
import { event, push } from './defineEvent.js';
import { Cursor } from './fields.js';
import type { UserId } from './ids.js';
import { TOKEN_CHARACTERS } from './limits.js';
import { userStream } from './streams.js';
import { User } from './userMessageChat.js';

/** Sign-up, and signing a connection in. A user's name is sealed with the user's own key. */

/** The context that a user's sealed name is bound to. */
export const usernameContext = (userId: UserId): string => `user:${userId}|UserRegistered|${userId}|username`;

export const UserRegistered = event('UserRegistered', userStream, {
  data: z.strictObject({ userId: z.string(), username: z.string(), backgroundColor: z.string() }),
  sealed: [
    {
      field: 'username',
      of: ({ data: { userId } }) => ({ owner: userId, context: usernameContext(userId) }),
    },
  ],
  evolve: (state) => ({ ...state, registered: true }),
  line: ({ data }, { who }) => `${who(data.userId)} signed up`,
});

/** `isNew`: this command registered the user. */
export const registerUser = command('register user', userStream, {
  fields: { userId: z.string(), username: z.string(), backgroundColor: z.string() },
  actor: 'userId',
  streamId: ({ userId }) => userId,
  wants: ({ userId }) => ({ ownKeys: [userId] }),
  text: 'username',
  decide({ userId, username, backgroundColor }, { registered }) {
    if (registered) return { events: [], answer: { isNew: false } };
    const data = { userId, username, backgroundColor };
    return { events: [UserRegistered.of(userId, data)], answer: { isNew: true } };
  },
});

export const identity = request('identity', {
  data: z.strictObject({
    token: z.string().max(TOKEN_CHARACTERS).exactOptional(),
    cursor: Cursor.exactOptional(),
  }),
  answer: z.strictObject({ user: User, cursor: Cursor }),
  note: 'Signs the connection in; the first frame. `cursor` is the last one that was handled: what has been missed since follows the answer, then a push `identity {caughtUp: true}`.',
});

export const identityPush = push('identity', {
  isStored: false,
  hasCursor: true,
  data: z.strictObject({ caughtUp: z.literal(true) }),
  note: 'All that was missed has been pushed; from here on it is live.',
});
