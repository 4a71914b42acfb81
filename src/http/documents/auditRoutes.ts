import { UserSearchQuery } from '../administration.js';
import {
  EventAnswer,
  EventQuery,
  EventStreamQuery,
  EventsAnswer,
  RoomThenAnswer,
  RoomThenQuery,
  UserSearchAnswer,
  UserThenAnswer,
  UserThenQuery,
} from '../audit/auditEvents.js';
import { ProofAnswer, ProofQuery } from '../audit/auditLog.js';
import type { Json } from '../schemas.js';

/** A parameter in the path. */
export const inPath = (name: string, schema: Json, description: string): Json[] => [
  { name, in: 'path', required: true, schema, description },
];
export const id: Json = { type: 'string', format: 'uuid' };
const userId = inPath('userId', id, 'The id of the user, in any case.');
const roomId = inPath('roomId', id, 'The id of the room, in any case.');
const partition = inPath(
  'partition',
  { type: 'integer', minimum: 0, maximum: 999_999 },
  'The number of the partition, counted from 0, without leading zeros.',
);
const offset = inPath(
  'offset',
  { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  'The place of the event in its partition, counted from 0.',
);
const tile = inPath(
  'tile',
  { type: 'string', examples: ['0/x001/234', '1/000.p/12', 'entries/x001/234'] },
  'A path of C2SP tlog-tiles, with its slashes.',
);
const auditErrors = ['bad_request', 'forbidden', 'not_found', 'overloaded'] as const;
const readErrors = ['bad_request', 'forbidden', 'overloaded', 'unknown'] as const;
const tag = 'Audit' as const;

/** The paths of the audit, for auditors, in OpenAPI's notation. */
export const auditPaths = {
  '/audit/events': {
    get: {
      id: 'auditEvents',
      summary: 'Get events',
      about:
        'Returns one page of events by time, then partition, then offset, or the newest first. A page may hold fewer than `limit`. The log records the query before the answer.',
      tag,
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
      about:
        'Returns the event at a place in the log, with its texts decrypted. The log records this request before the answer.',
      tag,
      path: [...partition, ...offset],
      status: 200,
      answer: EventAnswer,
      errors: [...readErrors, 'not_found'] as const,
    },
  },
  '/audit/events/stream': {
    get: {
      id: 'auditEventStream',
      summary: 'Stream events',
      about:
        'Streams the same events as JSON lines; with `follow=true` new events too, in order within each partition only. An empty line is sent after 15 s of silence.',
      tag,
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
        'Folds the room from the log, as its members saw it at that time, without texts that were erased or deleted since.',
      tag,
      path: roomId,
      query: RoomThenQuery,
      status: 200,
      answer: RoomThenAnswer,
      errors: [...readErrors, 'not_found'] as const,
    },
  },
  '/audit/users': {
    get: {
      id: 'auditUsers',
      summary: 'Find users by name',
      about:
        'Returns users with `q` in their present user name or display name, also those who have blocked the auditor. The log records the query before the answer.',
      tag,
      query: UserSearchQuery,
      status: 200,
      answer: UserSearchAnswer,
      errors: readErrors,
    },
  },
  '/audit/users/{userId}': {
    get: {
      id: 'auditUser',
      summary: 'Get a user at a point in time',
      about: 'Folds the user from the log, as they were at that time, without data that was erased since.',
      tag,
      path: userId,
      query: UserThenQuery,
      status: 200,
      answer: UserThenAnswer,
      errors: [...readErrors, 'not_found'] as const,
    },
  },
  '/audit/log/key': {
    get: {
      id: 'logKeys',
      summary: 'Get the verifier keys',
      about:
        'Returns the verifier keys of the log (C2SP signed-note): a line for each partition and key, the key in use first.',
      tag,
      status: 200,
      answer: 'text/plain',
      errors: ['bad_request', 'forbidden', 'overloaded'] as const,
    },
  },
  '/audit/log/{partition}/checkpoint': {
    get: {
      id: 'logCheckpoint',
      summary: 'Get the signed head of a partition',
      about: 'Returns a C2SP tlog-checkpoint, whose tiles can be read already.',
      tag,
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
      tag,
      path: [...partition, ...tile],
      status: 200,
      answer: 'application/octet-stream',
      errors: auditErrors,
    },
  },
  '/audit/log/{partition}/proof': {
    get: {
      id: 'logProof',
      summary: 'Prove an event, or the growth of the log',
      about:
        'Proves that an event (`offset`) is in the log, or that the log extends an older head (`from`). Give exactly one of them.',
      tag,
      path: partition,
      query: ProofQuery,
      status: 200,
      answer: ProofAnswer,
      errors: auditErrors,
    },
  },
};
