import { z } from 'zod';
import type { FieldError } from './errors.js';

/** The texts of what a schema refuses, for developers: each reads on behind the name of a field. */

type RawIssue = z.core.$ZodRawIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  uuid: 'a UUID',
  url: 'a URL',
  datetime: 'a time such as 2026-01-31T12:00:00Z',
};
const kind = (name: string): string => KINDS[name] ?? `of the type ${name}`;

/** What is counted of a value of this kind; a number is not counted. */
const UNITS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  string: ['character', 'characters'],
  array: ['entry', 'entries'],
  set: ['entry', 'entries'],
  map: ['entry', 'entries'],
};

interface Bound {
  readonly origin: string;
  readonly limit: number | bigint;
  readonly relation: string;
}

function describeBound({ origin, limit, relation }: Bound): string {
  const unit = UNITS[origin];
  const number = limit.toLocaleString('en-US');
  return unit
    ? `must have ${relation} ${number} ${unit[Number(limit) === 1 ? 0 : 1]}`
    : `must be ${relation} ${number}`;
}

function relationOf(issue: { exact?: boolean; inclusive?: boolean }, words: readonly [string, string]) {
  if (issue.exact) return 'exactly';
  return words[issue.inclusive === false ? 1 : 0];
}

/** The text of any issue whose schema has none of its own. */
function explainIssue(issue: RawIssue): string {
  if (issue.input === undefined && issue.code.startsWith('invalid_')) return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${kind(issue.expected)}`;
    case 'invalid_value': {
      const [first, ...others] = issue.values.map(String);
      return others.length === 0 ? `must be ${first}` : `must be one of ${[first, ...others].join(', ')}`;
    }
    case 'too_small': {
      const relation = relationOf(issue, ['at least', 'more than']);
      return describeBound({ origin: issue.origin, limit: issue.minimum, relation });
    }
    case 'too_big': {
      const relation = relationOf(issue, ['at most', 'less than']);
      return describeBound({ origin: issue.origin, limit: issue.maximum, relation });
    }
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.format in KINDS ? `must be ${kind(issue.format)}` : 'has a wrong format';
    case 'unrecognized_keys':
      return `has unknown fields: ${issue.keys.join(', ')}`;
    case 'invalid_union':
      return 'has none of the permitted forms';
    case 'invalid_key':
      return 'has a wrong name of a field';
    default:
      return 'is wrong';
  }
}

// In place of the library's own texts, so that none of those is ever sent.
z.config({ localeError: explainIssue });

/** What is wrong with which field. An unknown field is named itself. */
export const fieldErrors = ({ issues }: z.ZodError): FieldError[] =>
  issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          path: [...issue.path, key].join('.'),
          message: 'is not a field of this request',
        }))
      : [{ path: issue.path.join('.'), message: issue.message }],
  );
