import { SuspensionBody } from '../adminResources.js';
import { CodeAnswer, CodeBody, LogoutForm, SignInOptions } from '../issuerSignIn.js';
import type { Json } from '../schemas.js';
import {
  HostDeletionBody,
  HostMessageAnswer,
  HostMessageBody,
  HostMessagesAnswer,
  HostMessagesQuery,
} from '../server/serverMessages.js';
import {
  HostGroupBody,
  HostMemberBody,
  HostPairBody,
  HostRoomAnswer,
  MembersAnswer,
  RoomAboutAnswer,
  RoomsAnswer,
  RoomsQuery,
} from '../server/serverRooms.js';
import { HostTokenAnswer, HostTokenBody, HostUserAnswer, HostUserBody } from '../server/serverUsers.js';
import { id, inPath } from './auditRoutes.js';

const tag = 'Host' as const;
const errors = ['bad_request', 'forbidden', 'not_found', 'rate_limited', 'overloaded', 'unknown'] as const;
const reading = ['bad_request', 'forbidden', 'not_found', 'rate_limited', 'overloaded'] as const;
const hostId: Json = { type: 'string', examples: ['ext:4711'] };
const user = inPath('id', hostId, 'A user id, or `ext:` and your own id of 1–128 characters.');
const userAndOther = [...user, ...inPath('otherId', hostId, 'The other user, named likewise.')];
const roomId = inPath('roomId', id, 'The id of the room, in any case.');
const messageId = inPath('messageId', id, 'The id of the message, in any case.');
const common = { tag, key: true, errors } as const;
const done = { ...common, status: 204 } as const;

/** What the server of the host application is served, in OpenAPI's notation. */
export const serverPaths = {
  '/server/users/{id}': {
    get: {
      ...common,
      id: 'getHostUser',
      summary: 'Get a user',
      about: 'Scope `users`. Also an erased user, who has no name.',
      path: user,
      status: 200,
      answer: HostUserAnswer,
      errors: reading,
    },
    put: {
      ...common,
      id: 'putHostUser',
      summary: 'Create or change a user',
      about:
        'Scope `users`. With `ext:`, a missing user is created: 201, else 200. Absent fields do not change. A user name never changes: `conflict` if it is taken or differs.',
      path: user,
      body: HostUserBody,
      isBodyOptional: true,
      status: 200,
      creates: true,
      answer: HostUserAnswer,
      errors: [...errors, 'conflict'],
    },
    delete: {
      ...done,
      id: 'eraseHostUser',
      summary: 'Erase a user',
      about:
        'Scope `users`. Erases a user permanently, as users can do themselves. A user with a role is refused.',
      path: user,
    },
  },
  '/server/users/{id}/tokens': {
    post: {
      ...common,
      id: 'issueToken',
      summary: 'Issue a token for a user',
      about:
        'Scope `users`. Creates a session of the user. A user who is suspended or has a role is refused.',
      path: user,
      body: HostTokenBody,
      isBodyOptional: true,
      status: 201,
      answer: HostTokenAnswer,
    },
  },
  '/server/users/{id}/sessions': {
    delete: {
      ...done,
      id: 'endSessions',
      summary: 'End all sessions of a user',
      about: 'Scope `users`. Within a second no node accepts their tokens, and their sockets are closed.',
      path: user,
    },
  },
  '/server/users/{id}/suspension': {
    put: {
      ...done,
      id: 'suspendHostUser',
      summary: 'Suspend a user',
      about: 'Scope `users`. Works as for moderators. A user with a role is refused.',
      path: user,
      body: SuspensionBody,
    },
    delete: {
      ...done,
      id: 'restoreHostUser',
      summary: 'End a suspension',
      about: 'Scope `users`. The user can sign in again.',
      path: user,
      body: SuspensionBody,
    },
  },
  '/server/users/{id}/friends/{otherId}': {
    put: {
      ...done,
      id: 'putFriend',
      summary: 'Make two users friends',
      about: 'Scope `users`. The effect is as if the first user did it.',
      path: userAndOther,
    },
    delete: {
      ...done,
      id: 'removeFriend',
      summary: 'End a friendship',
      about: 'Scope `users`. The effect is as if the first user did it.',
      path: userAndOther,
    },
  },
  '/server/users/{id}/blocks/{otherId}': {
    put: {
      ...done,
      id: 'putBlock',
      summary: 'Block a user for another user',
      about: 'Scope `users`. The effect is as if the first user did it.',
      path: userAndOther,
    },
    delete: {
      ...done,
      id: 'removeBlock',
      summary: 'End a block',
      about: 'Scope `users`. The effect is as if the first user did it.',
      path: userAndOther,
    },
  },
  '/server/rooms/private': {
    put: {
      ...common,
      id: 'putPrivateRoom',
      summary: 'Open the private room of two users',
      about:
        'Scope `rooms`. The room becomes active for both users: 201 if it was active for neither, else 200.',
      body: HostPairBody,
      status: 200,
      creates: true,
      answer: HostRoomAnswer,
    },
  },
  '/server/rooms/{roomId}': {
    get: {
      ...common,
      id: 'getRoom',
      summary: 'Get a room',
      about:
        'Scope `rooms`. Without a text: reading messages needs the scope `messages`. `not_found` for a group that everybody has left.',
      path: roomId,
      status: 200,
      answer: RoomAboutAnswer,
      errors: reading,
    },
    put: {
      ...common,
      id: 'putGroup',
      summary: 'Create or change a group',
      about:
        'Scope `rooms`. You choose `roomId`, a UUID of version 4 or 7: 201 if the group is new, else 200. Members who are not named stay. A new group without an owner gets its first admin as owner, else its first member. `conflict` with `last_owner` if nobody would be an owner.',
      path: roomId,
      body: HostGroupBody,
      status: 200,
      creates: true,
      answer: HostRoomAnswer,
      errors: [...errors, 'conflict'],
    },
  },
  '/server/rooms/{roomId}/members': {
    get: {
      ...common,
      id: 'getMembers',
      summary: 'List the members of a group',
      about:
        'Scope `rooms`. The oldest member is first. `participants` of a room names the members of a private one.',
      path: roomId,
      query: RoomsQuery,
      status: 200,
      answer: MembersAnswer,
      errors: reading,
    },
  },
  '/server/users/{id}/rooms': {
    get: {
      ...common,
      id: 'getRoomsOfUser',
      summary: 'List the rooms of a user',
      about:
        'Scope `rooms`. The active chats of the user with the newest activity first, without a text. `participants` names all members of up to 32, as the user sees them.',
      path: user,
      query: RoomsQuery,
      status: 200,
      answer: RoomsAnswer,
      errors: reading,
    },
  },
  '/server/rooms/{roomId}/members/{id}': {
    put: {
      ...done,
      id: 'putMember',
      summary: 'Add a member, or change a role',
      about:
        'Scope `rooms`. Without `role`, a new member becomes a `member`, and an existing member keeps their role.',
      path: [...roomId, ...user],
      body: HostMemberBody,
      isBodyOptional: true,
      errors: [...errors, 'conflict'],
    },
    delete: {
      ...done,
      id: 'removeMember',
      summary: 'Remove a member from a group',
      about: 'Scope `rooms`. `conflict` with `last_owner` for the only owner.',
      path: [...roomId, ...user],
      errors: [...errors, 'conflict'],
    },
  },
  '/server/rooms/{roomId}/messages': {
    get: {
      ...common,
      id: 'readMessages',
      summary: 'Read messages of a room',
      about: 'Scope `messages`. In ascending `seq`. Each request is in the log as `AuditRead`.',
      path: roomId,
      query: HostMessagesQuery,
      status: 200,
      answer: HostMessagesAnswer,
    },
  },
  '/server/rooms/{roomId}/messages/{messageId}': {
    put: {
      ...common,
      id: 'putMessage',
      summary: 'Send a message as a user',
      about:
        'Scope `messages`. With the rights of that user. 201 if it is new. The same id with the same body is answered again with 200, with another body it is a `conflict`.',
      path: [...roomId, ...messageId],
      body: HostMessageBody,
      status: 200,
      creates: true,
      answer: HostMessageAnswer,
      errors: [...errors, 'conflict'],
    },
    delete: {
      ...done,
      id: 'removeMessage',
      summary: 'Delete a message as a user',
      about:
        'Scope `messages`. With the rights of that user, by default those of its sender. The answer comes when the keys of its texts are destroyed.',
      path: [...roomId, ...messageId],
      body: HostDeletionBody,
      isBodyOptional: true,
    },
  },
  '/oidc/logout': {
    post: {
      id: 'issuerLogout',
      summary: 'Back-channel logout',
      about:
        'With `OIDC_ISSUER`: the issuer ends the sessions of a subject, or of one session of its own (OpenID Connect Back-Channel Logout 1.0). The answer comes when no node accepts them any more.',
      tag,
      open: true,
      form: LogoutForm,
      status: 200,
      errors: ['bad_request', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/signin-options': {
    get: {
      id: 'signInOptions',
      summary: 'How users may sign in',
      about: 'Returns the ways to sign in that a page offers.',
      tag,
      open: true,
      status: 200,
      answer: SignInOptions,
      errors: ['overloaded'],
    },
  },
  '/oidc/signin': {
    post: {
      id: 'issuerSignIn',
      summary: 'Finish a sign-in by the issuer',
      about:
        'With `OIDC_CLIENT_ID`: exchanges the code from the issuer for a token. The page needs no access to the issuer except the redirect.',
      tag,
      open: true,
      body: CodeBody,
      status: 200,
      answer: CodeAnswer,
      errors: ['bad_request', 'unauthenticated', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/oidc/renew': {
    post: {
      id: 'issuerRenewal',
      summary: 'Go on with a session of the issuer',
      about:
        'With `OIDC_CLIENT_ID`, by a session that has not ended: the next token of the issuer, if it gave a refresh token with the sign-in. That one is in a cookie of the browser that no script can read, and goes with a sign-out. `forbidden`: the issuer does not renew the session.',
      tag,
      status: 200,
      answer: CodeAnswer,
      errors: ['bad_request', 'unauthenticated', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
} as const;
