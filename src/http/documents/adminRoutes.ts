import { KeyList } from '../../domain/hostKeys.js';
import { ResetCodeAnswer, UserListAnswer, UserListQuery } from '../administration.js';
import { OwnRolesAnswer, SessionsAnswer, SuspensionAnswer, SuspensionBody } from '../adminResources.js';
import { Decision, ReportAnswer, ReportsAnswer, ReportsQuery } from '../moderation.js';
import { StorageAnswer } from '../operations.js';
import type { Json } from '../schemas.js';
import {
  SecretAnswer,
  SeekBody,
  SUBSCRIPTION_ID,
  SubscriptionAnswer,
  SubscriptionsAnswer,
} from '../server/subscriptionResources.js';
import { id, inPath } from './auditRoutes.js';

const tag = 'Administration' as const;
const report: Json[] = [
  {
    ...{ name: 'id', in: 'path', required: true },
    schema: { type: 'string', format: 'uuid' },
    description: 'The id of the report, in any case.',
  },
];
const errors = ['bad_request', 'forbidden', 'overloaded', 'unknown'] as const;

/** The paths of reports, for moderators, in OpenAPI's notation. */
export const reportPaths = {
  '/admin/reports': {
    get: {
      id: 'listReports',
      summary: 'List reports',
      about:
        'Returns one page of reports for moderators: open ones oldest first, closed ones newest first. The log records this request before the answer.',
      tag,
      query: ReportsQuery,
      status: 200,
      answer: ReportsAnswer,
      errors,
    },
  },
  '/admin/reports/{id}': {
    get: {
      id: 'getReport',
      summary: 'Get a report',
      about:
        'Returns a report with the reported messages, and the 5 before and after each that the reporter could see. The log records this request before the answer.',
      tag,
      path: report,
      status: 200,
      answer: ReportAnswer,
      errors: [...errors, 'not_found'] as const,
    },
  },
  '/admin/reports/{id}/decision': {
    post: {
      id: 'decideReport',
      summary: 'Decide a report',
      about:
        'Closes the report, deletes messages that it names, suspends the user, and destroys the kept texts. After a failure, repeat the same decision to finish it; a different one is a `conflict`. `forbidden`, and nothing is recorded, if the user to be suspended holds a role.',
      tag,
      path: report,
      body: Decision,
      status: 204,
      errors: [...errors, 'not_found', 'conflict'] as const,
    },
  },
};

const subscriptionId = inPath(
  'id',
  { type: 'string', pattern: SUBSCRIPTION_ID },
  'The id of the subscription.',
);
const userId = inPath('userId', id, 'The id of the user, in any case.');

/** What moderators and admins are served. */
export const adminPaths = {
  '/admin/users': {
    get: {
      id: 'listUsers',
      summary: 'List users',
      about:
        'For admins: users by id, or those with `q` in a name. Each request is in the log as `AuditRead`.',
      tag,
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
      about:
        'For admins: erases a user permanently, as users can do themselves. A user with a role is refused.',
      tag,
      path: userId,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/users/{userId}/suspension': {
    get: {
      id: 'getSuspension',
      summary: 'Get the suspension of a user',
      about:
        'For moderators: since when the user is suspended, by whom and why. `not_found` if they are not. Each request is in the log as `AuditRead`.',
      tag,
      path: userId,
      status: 200,
      answer: SuspensionAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
    put: {
      id: 'suspendUser',
      summary: 'Suspend a user',
      about:
        'For moderators: ends all sessions of a user within a second. Nobody can sign in as the user; their messages stay. A user with a role is refused.',
      tag,
      path: userId,
      body: SuspensionBody,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
    delete: {
      id: 'restoreUser',
      summary: 'End a suspension',
      about: 'For moderators: the user can sign in again.',
      tag,
      path: userId,
      body: SuspensionBody,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/users/{userId}/sessions': {
    get: {
      id: 'listUserSessions',
      summary: 'List the open sessions of a user',
      about: 'For admins. Each request is in the log as `AuditRead`.',
      tag,
      path: userId,
      status: 200,
      answer: SessionsAnswer,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
    delete: {
      id: 'endUserSessions',
      summary: 'End all sessions of a user',
      about: 'For admins: within a second no node accepts their tokens, and their sockets are closed.',
      tag,
      path: userId,
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/subscriptions': {
    get: {
      id: 'listSubscriptionsAsAdmin',
      summary: 'List the subscriptions of the host application',
      about:
        'For admins: the progress of each, and whether it fails. Each request is in the log as `AuditRead`.',
      tag,
      status: 200,
      answer: SubscriptionsAnswer,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/admin/subscriptions/{id}/seek': {
    post: {
      id: 'seekSubscriptionAsAdmin',
      summary: 'Continue a subscription from another place',
      about:
        'For admins: with an earlier place the subscription sends events again; with a later place it skips events.',
      tag,
      path: subscriptionId,
      body: SeekBody,
      status: 200,
      answer: SubscriptionAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/subscriptions/{id}/pause': {
    post: {
      id: 'pauseSubscriptionAsAdmin',
      summary: 'Pause a subscription',
      about: 'For admins: nothing is sent until it is resumed. Nothing is lost: it continues from its place.',
      tag,
      path: subscriptionId,
      status: 200,
      answer: SubscriptionAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/subscriptions/{id}/resume': {
    post: {
      id: 'resumeSubscriptionAsAdmin',
      summary: 'Resume a subscription',
      about: 'For admins: it continues from its place, and tries a failed delivery again at once.',
      tag,
      path: subscriptionId,
      status: 200,
      answer: SubscriptionAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/subscriptions/{id}/rotate': {
    post: {
      id: 'rotateSubscriptionAsAdmin',
      summary: 'Make a new secret for a subscription',
      about: 'For admins: answers with the new secret, once. For 24 h the secret of before signs too.',
      tag,
      path: subscriptionId,
      status: 200,
      answer: SecretAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/keys': {
    get: {
      id: 'listServerKeys',
      summary: 'List server keys',
      about:
        'For admins: the keys of the host application, revoked ones too, without their secrets. Each request is in the log as `AuditRead`.',
      tag,
      status: 200,
      answer: KeyList,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/admin/keys/{keyId}': {
    delete: {
      id: 'revokeServerKey',
      summary: 'Revoke a server key',
      about: 'For admins: when this is answered, no node takes the key any more. May be repeated.',
      tag,
      path: inPath('keyId', id, 'The id of the key, in any case.'),
      status: 204,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
  '/admin/storage': {
    get: {
      id: 'getStorage',
      summary: 'Get the figures of the storage',
      about:
        'For admins: how much the log, the vault and the read models have, on which disk, the last backup, and the subscriptions that lag. It reads counters and the ends of the log, at most once in 5 s. No request is in the log: the figures are of no user.',
      tag,
      status: 200,
      answer: StorageAnswer,
      errors: ['bad_request', 'forbidden', 'overloaded'],
    },
  },
  '/user/me/roles': {
    get: {
      id: 'getOwnRoles',
      summary: 'Get my own roles',
      about: 'Returns the roles of the user. Pages use them to show links.',
      tag,
      status: 200,
      answer: OwnRolesAnswer,
      errors: ['overloaded'],
    },
  },
  '/admin/users/{userId}/password': {
    post: {
      id: 'issueResetCode',
      summary: 'Issue a code for a new password',
      about:
        'For admins: a code with which the user sets a new password once, within 24 hours. An earlier code stops working. A user with a role is refused.',
      tag,
      path: userId,
      status: 201,
      answer: ResetCodeAnswer,
      errors: ['bad_request', 'forbidden', 'not_found', 'overloaded', 'unknown'],
    },
  },
} as const;
