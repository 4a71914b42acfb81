import type { z } from 'zod';
import { wrongFields } from '../base/errors.js';
import { fieldErrors } from '../base/schemaErrors.js';
import {
  type CommandDeclared,
  declaredPushes,
  declaredRequests,
  type PushDeclared,
  type RequestDeclared,
} from './features.js';
import { WRONG_CHARACTERS } from './fields.js';

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
  const fields = fieldErrors(parsed.error);
  throw wrongFields(
    fields,
    fields.some(({ message }) => message === WRONG_CHARACTERS) ? 'characters' : undefined,
  );
}

/** How many characters may differ in a name that was meant. */
const MOST_EDITS = 3;

/** The name of a request that was probably meant; undefined if none is near. */
export function nearestRequest(event: string): string | undefined {
  const text = event.toLowerCase();
  const near = Object.keys(requests).filter((name) => Math.abs(name.length - text.length) <= MOST_EDITS);
  const [first] = near
    .map((name) => ({ name, edits: countEdits(name, text) }))
    .filter(({ edits }) => edits <= MOST_EDITS)
    .sort((a, b) => a.edits - b.edits);
  return first?.name;
}

/** The Levenshtein distance. */
function countEdits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
