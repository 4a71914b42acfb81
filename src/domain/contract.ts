import type { z } from 'zod';
import { wrongFields } from '../base/errors.js';
import {
  type CommandDeclared,
  declaredPushes,
  declaredRequests,
  type PushDeclared,
  type RequestDeclared,
} from './features.js';

/** Derived from the declared requests and pushes: the contract with clients of the socket. */

/** The requests of a client over the socket, each with its `data` and the `data` of its answer. */
export const requests = Object.fromEntries(declaredRequests.map((request) => [request.name, request])) as {
  // Each is found under its own name.
  readonly [R in RequestDeclared as R['name']]: R;
};

export type RequestName = keyof typeof requests;
export type RequestData<N extends RequestName> = z.infer<(typeof requests)[N]['data']>;
/** What a client may write: fields with a default may be left out. */
export type RequestInput<N extends RequestName> = z.input<(typeof requests)[N]['data']>;
export type RequestAnswer<N extends RequestName> = z.infer<(typeof requests)[N]['answer']>;

/** The commands of clients that need no handler of their own: see `clientCommand`. */
export type PlainCommandName = Extract<CommandDeclared, { isPlain: true }>['kind'];

/** What the server pushes, by name; stored pushes carry a cursor. */
export const pushes = Object.fromEntries(declaredPushes.map((push) => [push.name, push])) as {
  // Each is found under its own name.
  readonly [P in PushDeclared as P['name']]: P;
};

export type PushName = keyof typeof pushes;
export type PushData<N extends PushName> = z.infer<(typeof pushes)[N]['data']>;

/** Checks `data` against the schema. Throws `bad_request` that names the wrong fields. */
export function validate<S extends z.ZodType>(schema: S, data: unknown): z.infer<S> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          path: [...issue.path, key].join('.'),
          message: 'is not a field of this request',
        }))
      : [{ path: issue.path.join('.'), message: issue.message }],
  );
  throw wrongFields(fields);
}
