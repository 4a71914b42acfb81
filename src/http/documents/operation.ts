import type { z } from 'zod';
import type { ErrorCode } from '../../base/errors.js';
import type { Json } from '../schemas.js';

/** How the documents describe REST: an operation, and the parameters that stand in paths. */

/** One method of one path, as `/openapi.json` describes it. */
export interface Operation {
  readonly id: string;
  /** A few words. */
  readonly summary: string;
  /** What it does and what it needs, in sentences. */
  readonly about: string;
  readonly tag: 'Users' | 'Administration' | 'Audit' | 'Operations' | 'Documents';
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

/** The operations of each path, in OpenAPI's notation. */
export type Paths = Readonly<
  Record<string, Partial<Record<'get' | 'post' | 'put' | 'patch' | 'delete', Operation>>>
>;

/** A parameter of a path. */
const inPath = (name: string, schema: Json, description: string): Json[] => [
  { name, in: 'path', required: true, schema, description },
];
const id: Json = { type: 'string', format: 'uuid' };
export const userId = inPath('userId', id, 'The id of the user, in any case.');
export const roomId = inPath('roomId', id, 'The id of the room, in any case.');
export const partition = inPath(
  'partition',
  { type: 'integer', minimum: 0, maximum: 999_999 },
  'The number of the partition, counted from 0, without leading zeros.',
);
export const offset = inPath(
  'offset',
  { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  'The place of the event in its partition, counted from 0.',
);
export const tile = inPath(
  'tile',
  { type: 'string', examples: ['0/x001/234', '1/000.p/12', 'entries/x001/234'] },
  'A path of C2SP tlog-tiles, with its slashes.',
);
