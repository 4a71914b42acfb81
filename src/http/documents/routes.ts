import type { z } from 'zod';
import type { ErrorCode } from '../../base/errors.js';
import { ProfileChange } from '../../domain/users.js';
import {
  ChangePassword,
  EraseUser,
  type Json,
  ProfileAnswer,
  ResetPassword,
  RevisionQuery,
  SearchAnswer,
  SearchQuery,
  SignIn,
  SignInAnswer,
  SignOutQuery,
  SignUp,
  SignUpAnswer,
  UserAnswer,
} from '../schemas.js';
import { adminPaths, reportPaths } from './adminRoutes.js';
import { auditPaths, id, inPath } from './auditRoutes.js';
import { eventPaths } from './eventRoutes.js';
import { serverPaths } from './serverRoutes.js';

/** The parts of REST, with what each is for. */
export const tags = {
  Users: 'Accounts, profiles and sessions of users.',
  Audit: 'The log for auditors: events, points in time and proofs.',
  Administration: 'Users and reports, for admins and moderators.',
  Host: 'The server of the host application, and sign-in by its issuer.',
  Operations: 'Health and metrics, for the operator.',
  Documents: 'The descriptions of the interfaces.',
};

/** One method of one path, as `/openapi.json` describes it. */
export interface Operation {
  readonly id: string;
  /** A few words. */
  readonly summary: string;
  /** What it does and what it needs, in sentences. */
  readonly about: string;
  readonly tag: keyof typeof tags;
  /** Needs no session. */
  readonly open?: true;
  /** Needs a server key in place of a session. */
  readonly key?: true;
  readonly path?: readonly Json[];
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly isBodyOptional?: true;
  /** The fields of a body that is a form. */
  readonly form?: z.ZodType;
  readonly status: number;
  /** The answer to a request that has created something is 201, with the same body. */
  readonly creates?: true;
  /** A schema for JSON; the media type for other content. */
  readonly answer?: z.ZodType | string;
  readonly errors?: readonly ErrorCode[];
}

const signUpErrors = [
  'bad_request',
  'forbidden',
  'conflict',
  'rate_limited',
  'overloaded',
  'unknown',
] as const;
const userId = inPath('userId', id, 'The id of the user, in any case.');
const document = (id: string, summary: string, about: string, answer: string): { get: Operation } => ({
  get: { id, summary, about, tag: 'Documents', open: true, status: 200, answer },
});

/** Every path that REST serves, in OpenAPI's notation. */
export const paths: Record<
  string,
  Partial<Record<'get' | 'post' | 'put' | 'patch' | 'delete', Operation>>
> = {
  '/user': {
    post: {
      id: 'signUp',
      summary: 'Sign up',
      about:
        'Creates a user with this name and password. Sign in afterwards to get a token. `forbidden` with `SIGN_UP=closed`. With `SIGN_UP=external`, sign-up and sign-in do not exist (404).',
      tag: 'Users',
      open: true,
      body: SignUp,
      status: 201,
      answer: SignUpAnswer,
      errors: signUpErrors,
    },
  },
  '/user/signin': {
    post: {
      id: 'signIn',
      summary: 'Sign in',
      about: 'Creates a session. Returns its token, the user, their friends and the first 50 active chats.',
      tag: 'Users',
      open: true,
      body: SignIn,
      status: 200,
      answer: SignInAnswer,
      errors: ['bad_request', 'unauthenticated', 'rate_limited', 'overloaded', 'unknown'],
    },
  },
  '/user/signout': {
    post: {
      id: 'signOut',
      summary: 'Sign out',
      about:
        'Ends this session and closes its sockets with 4401; with `everywhere=true` all sessions of the user, with `everywhere=others` all except this one.',
      tag: 'Users',
      query: SignOutQuery,
      status: 204,
      errors: ['bad_request', 'unknown'],
    },
  },
  '/user/password': {
    put: {
      id: 'changePassword',
      summary: 'Change my password',
      about: 'Sets a new password and ends all my other sessions. Needs the present password.',
      tag: 'Users',
      body: ChangePassword,
      status: 204,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/user/password-reset': {
    post: {
      id: 'resetPassword',
      summary: 'Set a new password with a code',
      about:
        'Sets a new password with the code that an admin has issued, once, and ends all sessions of the user. A try counts as a sign-in.',
      tag: 'Users',
      open: true,
      body: ResetPassword,
      status: 204,
      errors: ['bad_request', 'unauthenticated', 'rate_limited', 'overloaded', 'unknown'],
    },
  },
  '/user/me': {
    patch: {
      id: 'changeProfile',
      summary: 'Change my profile',
      about:
        'Changes the fields that are given; `null` removes one. Online users who share a chat or a friendship with me get the push `change user`.',
      tag: 'Users',
      body: ProfileChange,
      status: 200,
      answer: ProfileAnswer,
      errors: ['bad_request', 'overloaded', 'unknown'],
    },
  },
  '/user/search': {
    get: {
      id: 'searchUsers',
      summary: 'Search users by name',
      about: 'Finds users by any part of their user name or display name.',
      tag: 'Users',
      query: SearchQuery,
      status: 200,
      answer: SearchAnswer,
      errors: ['bad_request', 'overloaded'],
    },
  },
  '/user/{userId}': {
    get: {
      id: 'getUser',
      summary: 'Get a user',
      about:
        'Returns the public fields of a user; for my own id also my friends and my first 50 active chats.',
      tag: 'Users',
      path: userId,
      query: RevisionQuery,
      status: 200,
      answer: UserAnswer,
      errors: ['bad_request', 'not_found', 'overloaded'],
    },
    delete: {
      id: 'eraseUser',
      summary: 'Delete my account',
      about:
        'Erases my name and texts everywhere, permanently, and ends my sessions. Needs the password, or a token of the last 5 minutes if I have no password.',
      tag: 'Users',
      path: userId,
      body: EraseUser,
      isBodyOptional: true,
      status: 204,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/user/{userId}/export': {
    get: {
      id: 'exportUser',
      summary: 'Export my data',
      about: 'Returns all data about me as JSON lines; `kind` names the kind of each line.',
      tag: 'Users',
      path: userId,
      status: 200,
      answer: 'application/x-ndjson',
      errors: ['bad_request', 'forbidden', 'overloaded'],
    },
  },
  ...auditPaths,
  ...reportPaths,
  ...adminPaths,
  ...serverPaths,
  ...eventPaths,
  '/health': {
    get: {
      id: 'health',
      summary: 'Liveness',
      about: 'Answers while the process works. Restart the node only if this fails.',
      tag: 'Operations',
      open: true,
      status: 200,
      answer: 'application/json',
    },
  },
  '/ready': {
    get: {
      id: 'ready',
      summary: 'Readiness',
      about: 'Says whether the node can do its work; a 503 names the failing part.',
      tag: 'Operations',
      open: true,
      status: 200,
      answer: 'application/json',
      errors: ['overloaded'],
    },
  },
  '/metrics': {
    get: {
      id: 'metrics',
      summary: 'Metrics',
      about: 'Returns metrics in the Prometheus text format. With `METRICS_PORT`, only that port has it.',
      tag: 'Operations',
      open: true,
      status: 200,
      answer: 'text/plain',
    },
  },
  '/openapi.json': document('openapi', 'REST for machines', 'Returns this document.', 'application/json'),
  '/asyncapi.json': document(
    'asyncapi',
    'The WebSocket for machines',
    'Returns every request, answer and push of the socket as AsyncAPI 3.0.',
    'application/json',
  ),
  '/docs': document('docs', 'The documentation', 'Returns the first page of the documentation.', 'text/html'),
};
