import { ResetCodeAnswer, SuspensionBody, UserListAnswer, UserListQuery } from '../admin/adminUsers.js';
import { type Paths, userId } from './operation.js';

/** What moderators and admins are served. */
export const adminPaths: Paths = {
  '/admin/users': {
    get: {
      id: 'listUsers',
      summary: 'List users',
      about:
        'For admins: users by id, or those with `q` in a name. Each request is in the log as `AuditRead`.',
      tag: 'Administration',
      query: UserListQuery,
      status: 200,
      answer: UserListAnswer,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/admin/users/{userId}': {
    delete: {
      id: 'eraseUserAsAdmin',
      summary: 'Erase a user',
      about: 'For admins: erases a user for ever, as the user can. Not one who holds a role.',
      tag: 'Administration',
      path: userId,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/users/{userId}/suspension': {
    put: {
      id: 'suspendUser',
      summary: 'Suspend a user',
      about:
        'For moderators: ends all sessions of a user within a second. Nobody can sign in as the user; what they have sent stays. Not one who holds a role.',
      tag: 'Administration',
      path: userId,
      body: SuspensionBody,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
    delete: {
      id: 'restoreUser',
      summary: 'End a suspension',
      about: 'For moderators: the user can sign in again.',
      tag: 'Administration',
      path: userId,
      body: SuspensionBody,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/users/{userId}/password': {
    post: {
      id: 'issueResetCode',
      summary: 'Issue a code for a new password',
      about:
        'For admins: a code with which the user sets a new password once, within 24 hours. An earlier code is good no more. Not for one who holds a role.',
      tag: 'Administration',
      path: userId,
      status: 201,
      answer: ResetCodeAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
};
