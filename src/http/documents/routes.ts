import { ProfileChange } from '../../domain/people/profiles.js';
import {
  EventAnswer,
  EventQuery,
  EventStreamQuery,
  EventsAnswer,
  RoomThenAnswer,
  RoomThenQuery,
  UserThenAnswer,
  UserThenQuery,
} from '../audit/auditEvents.js';
import { ProofAnswer, ProofQuery } from '../audit/auditLog.js';
import {
  ChangePassword,
  EraseUser,
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
import { adminPaths } from './adminRoutes.js';
import { type Operation, offset, type Paths, partition, roomId, tile, userId } from './operation.js';

const signUpErrors = ['bad_request', 'conflict', 'rate_limited', 'overloaded', 'unknown'] as const;
const auditErrors = ['bad_request', 'forbidden', 'not_found', 'overloaded'] as const;
const readErrors = ['bad_request', 'forbidden', 'overloaded', 'unknown'] as const;
const document = (id: string, summary: string, about: string, answer: string): { get: Operation } => ({
  get: { id, summary, about, tag: 'Documents', open: true, status: 200, answer },
});

/** Every path that REST serves, in OpenAPI's notation. */
export const paths: Paths = {
  '/user': {
    post: {
      id: 'signUp',
      summary: 'Sign up',
      about: 'Makes a user with this name and password. Sign in afterwards for a token.',
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
      about: 'Makes a session, and returns its token and what a client shows first.',
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
        'Ends this session and closes its sockets with 4401; with `everywhere=true` all sessions of the user.',
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
        'Changes the fields that are given; `null` removes one. Those who are online and share a chat or a friendship with me are pushed `change user`.',
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
        'Returns the public fields of a user; of oneself also the friends and the first 50 active chats.',
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
      about: 'Erases my name and texts everywhere, permanently, and ends my sessions. Needs the password.',
      tag: 'Users',
      path: userId,
      body: EraseUser,
      status: 204,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/user/{userId}/export': {
    get: {
      id: 'exportUser',
      summary: 'Export my data',
      about: 'Returns everything that is kept of me, as JSON lines; `kind` names each.',
      tag: 'Users',
      path: userId,
      status: 200,
      answer: 'application/x-ndjson',
      errors: ['bad_request', 'forbidden', 'overloaded'],
    },
  },
  ...adminPaths,
  '/audit/events': {
    get: {
      id: 'auditEvents',
      summary: 'Get events',
      about:
        'Returns one page of events by time, then partition, then offset, or the newest first. A page may hold fewer than `limit`. The log records the query before the answer.',
      tag: 'Audit',
      query: EventQuery,
      status: 200,
      answer: EventsAnswer,
      errors: readErrors,
    },
  },
  '/audit/events/{partition}/{offset}': {
    get: {
      id: 'auditEvent',
      summary: 'Get one event',
      about: 'Returns the event at a place in the log, opened. The log records the look before the answer.',
      tag: 'Audit',
      path: [...partition, ...offset],
      status: 200,
      answer: EventAnswer,
      errors: [...readErrors, 'not_found'],
    },
  },
  '/audit/events/stream': {
    get: {
      id: 'auditEventStream',
      summary: 'Stream events',
      about:
        'Streams the same events as JSON lines; with `follow=true` new events too, in order within each partition only. An empty line is sent after 15 s of silence.',
      tag: 'Audit',
      query: EventStreamQuery,
      status: 200,
      answer: 'application/x-ndjson',
      errors: readErrors,
    },
  },
  '/audit/rooms/{roomId}': {
    get: {
      id: 'auditRoom',
      summary: 'Get a room at a point in time',
      about:
        'Folds the room from the log, as its members saw it then, without what was erased or deleted since.',
      tag: 'Audit',
      path: roomId,
      query: RoomThenQuery,
      status: 200,
      answer: RoomThenAnswer,
      errors: [...readErrors, 'not_found'],
    },
  },
  '/audit/users/{userId}': {
    get: {
      id: 'auditUser',
      summary: 'Get a user at a point in time',
      about: 'Folds the user from the log, as it was then, without what was erased since.',
      tag: 'Audit',
      path: userId,
      query: UserThenQuery,
      status: 200,
      answer: UserThenAnswer,
      errors: [...readErrors, 'not_found'],
    },
  },
  '/audit/log/key': {
    get: {
      id: 'logKeys',
      summary: 'Get the verifier keys',
      about:
        'Returns the verifier keys of the log (C2SP signed-note): a line for each partition and key, the key in use first.',
      tag: 'Audit',
      status: 200,
      answer: 'text/plain',
      errors: ['bad_request', 'forbidden', 'overloaded'],
    },
  },
  '/audit/log/{partition}/checkpoint': {
    get: {
      id: 'logCheckpoint',
      summary: 'Get the signed head of a partition',
      about: 'Returns a C2SP tlog-checkpoint, whose tiles can be read already.',
      tag: 'Audit',
      path: partition,
      status: 200,
      answer: 'text/plain',
      errors: auditErrors,
    },
  },
  '/audit/log/{partition}/tile/{tile}': {
    get: {
      id: 'logTile',
      summary: 'Get a tile or an entry bundle',
      about: 'Returns a part of the Merkle tree (C2SP tlog-tiles); an entry is the stored bytes of an event.',
      tag: 'Audit',
      path: [...partition, ...tile],
      status: 200,
      answer: 'application/octet-stream',
      errors: auditErrors,
    },
  },
  '/audit/log/{partition}/proof': {
    get: {
      id: 'logProof',
      summary: 'Prove that the log holds something',
      about:
        'Proves that an event (`offset`) is in the log, or that the log extends an older head (`from`). Give one of both.',
      tag: 'Audit',
      path: partition,
      query: ProofQuery,
      status: 200,
      answer: ProofAnswer,
      errors: auditErrors,
    },
  },
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
