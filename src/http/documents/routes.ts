import type { z } from 'zod';
import type { ErrorCode } from '../../base/errors.js';
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
  type Json,
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

/** One method of one path, as `/openapi.json` describes it. */
export interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly tag: 'Users' | 'Audit' | 'Operations' | 'Documents';
  /** Needs no session. */
  readonly open?: true;
  readonly path?: readonly Json[];
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly status: number;
  /** A schema for JSON; the media type for other content. */
  readonly answer?: z.ZodType | string;
  readonly errors?: readonly ErrorCode[];
}

const signUpErrors = ['bad_request', 'conflict', 'rate_limited', 'overloaded', 'unknown'] as const;
const inPath = (name: string, schema: Json, description?: string): Json[] => [
  { name, in: 'path', required: true, schema, ...(description === undefined ? {} : { description }) },
];
const userId = inPath('userId', { type: 'string', format: 'uuid' });
const roomId = inPath('roomId', { type: 'string', format: 'uuid' });
const partition = inPath('partition', { type: 'integer', minimum: 0 });
const tile = inPath(
  'tile',
  { type: 'string', examples: ['0/x001/234', '1/000.p/12', 'entries/x001/234'] },
  'A path of C2SP tlog-tiles, with its slashes.',
);
const auditErrors = ['bad_request', 'forbidden', 'not_found', 'overloaded'] as const;
const readErrors = ['bad_request', 'forbidden', 'overloaded', 'unknown'] as const;
const document = (id: string, summary: string, answer: string): { get: Operation } => ({
  get: { id, summary, tag: 'Documents', open: true, status: 200, answer },
});

/** Every path that REST serves, in OpenAPI's notation. */
export const paths: Record<string, Partial<Record<'get' | 'post' | 'put' | 'delete', Operation>>> = {
  '/user/': {
    post: {
      id: 'signUp',
      summary: 'Sign up',
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
      summary: 'Sign in: makes a new session',
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
      summary: 'Sign out: ends the session and its sockets',
      tag: 'Users',
      query: SignOutQuery,
      status: 204,
      errors: ['bad_request', 'unknown'],
    },
  },
  '/user/password': {
    put: {
      id: 'changePassword',
      summary: 'Change the password, and end all my other sessions',
      tag: 'Users',
      body: ChangePassword,
      status: 204,
      errors: ['bad_request', 'forbidden', 'overloaded', 'unknown'],
    },
  },
  '/user/search': {
    get: {
      id: 'searchUsers',
      summary: 'Search users by name',
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
      summary: 'Get a user; with friends and the first 50 active chats if it is me',
      tag: 'Users',
      path: userId,
      query: RevisionQuery,
      status: 200,
      answer: UserAnswer,
      errors: ['bad_request', 'not_found', 'overloaded'],
    },
    delete: {
      id: 'eraseUser',
      summary: 'Delete my account permanently: erases my name and texts everywhere, and ends my sessions',
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
      summary: 'Export everything that is kept of me, as JSON lines; `kind` names each',
      tag: 'Users',
      path: userId,
      status: 200,
      answer: 'application/x-ndjson',
      errors: ['bad_request', 'forbidden', 'overloaded'],
    },
  },
  '/audit/events': {
    get: {
      id: 'auditEvents',
      summary:
        'Get events by time, then partition, then offset, or newest first: one page, which may hold fewer than `limit`',
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
      summary: 'Get the event at a place in the log',
      tag: 'Audit',
      path: [...partition, ...inPath('offset', { type: 'integer', minimum: 0 })],
      status: 200,
      answer: EventAnswer,
      errors: [...readErrors, 'not_found'],
    },
  },
  '/audit/events/stream': {
    get: {
      id: 'auditEventStream',
      summary:
        'Stream the same events as JSON lines; with `follow=true` new events too, in order within each partition only',
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
      summary: 'Get a room at a point in time, folded from the log',
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
      summary: 'Get a user at a point in time, folded from the log',
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
      summary:
        'Get the verifier keys of the log (C2SP signed-note): a line for each partition and key, the key in use first',
      tag: 'Audit',
      status: 200,
      answer: 'text/plain',
      errors: ['bad_request', 'forbidden', 'overloaded'],
    },
  },
  '/audit/log/{partition}/checkpoint': {
    get: {
      id: 'logCheckpoint',
      summary: 'Get the signed head of a partition: a C2SP tlog-checkpoint, whose tiles can be read already',
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
      summary: 'Get a tile or an entry bundle (C2SP tlog-tiles); an entry is the stored bytes of an event',
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
      summary: 'Prove that an event (`offset`) is in the log, or that the log extends an older head (`from`)',
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
      summary: 'Liveness: restart the node only if this fails',
      tag: 'Operations',
      open: true,
      status: 200,
      answer: 'application/json',
    },
  },
  '/ready': {
    get: {
      id: 'ready',
      summary: 'Readiness: whether the node can do its work; a 503 names the failing part',
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
      summary: 'Metrics in the Prometheus text format',
      tag: 'Operations',
      open: true,
      status: 200,
      answer: 'text/plain',
    },
  },
  '/openapi.json': document('openapi', 'This document', 'application/json'),
  '/asyncapi.json': document('asyncapi', 'The WebSocket as AsyncAPI 3.0', 'application/json'),
  '/docs': document('docs', 'The documentation', 'text/html'),
};
