import type { Json } from '../src/http/schemas.js';

// This project generates the documents, so their shape is known. The casts avoid a second definition as types.

/** Returns the value at a path in a document. */
export const at = (json: unknown, ...path: string[]): Json =>
  path.reduce((value, name) => (value as Json)[name] as Json, json as Json);

/** Returns a list of a document. A missing list is empty. */
export const list = (json: unknown): readonly Json[] => (json ?? []) as Json[];

/** Returns the last segment of a `$ref`. */
export const lastOf = (ref: unknown): string => String(ref).split('/').at(-1) ?? '';

/** A list of more words is cut, as it would fill the screen of a phone. The documents for programs have all words. */
const MOST_WORDS = 20;
const FIRST_WORDS = 3;

function wordsOf(values: readonly unknown[]): string {
  const words = values.map((each) => JSON.stringify(each));
  const shown = words.length > MOST_WORDS ? words.slice(0, FIRST_WORDS) : words;
  const left = words.length - shown.length;
  return [...shown, ...(left > 0 ? [`${left} others`] : [])].join(' or ');
}

/** Returns a short name of a schema: `[Chat]`, `string (uuid)`, `integer`. */
export function typeOf(schema: Json): string {
  if (schema.$ref !== undefined) return lastOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return wordsOf(schema.enum as unknown[]);
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return list(either).map(typeOf).join(' or ');
  const places = schema.prefixItems ?? schema.items; // Of a tuple, by the newer drafts and the older ones.
  if (Array.isArray(places)) return `[${list(places).map(typeOf).join(', ')}]`;
  if (schema.type === 'array') return `[${typeOf(at(schema, 'items'))}]`;
  if (schema.properties !== undefined) {
    const needed = required(schema);
    const fields = Object.entries(at(schema, 'properties')).map(
      ([name, field]) => `${name}${needed.has(name) ? '' : '?'}: ${typeOf(field as Json)}`, // Properties are schemas.
    );
    return `{${fields.join(', ')}}`;
  }
  if (typeof schema.additionalProperties === 'object')
    return `{…: ${typeOf(at(schema, 'additionalProperties'))}}`;
  if (schema.type === undefined || schema.type === 'object') return '{…}';
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : String(schema.type);
  return schema.format === undefined ? type : `${type} (${schema.format})`;
}

/** Returns the fields of an object as a Markdown table. */
export function fieldsOf(schema: Json): string {
  const needed = required(schema);
  const rows = Object.entries(at(schema, 'properties') ?? {}).map(([name, value]) => {
    const field = value as Json; // Properties are schemas.
    return row(name, needed.has(name), field, field.description);
  });
  return rows.length === 0 ? 'No fields.\n' : fieldTable(rows);
}

/** Returns a Markdown table from rows of `row`. */
export const fieldTable = (rows: readonly string[]): string =>
  `| field | type | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;

/** Returns the limits of a value in words, such as `1–200` or `at most 8192 characters`. */
function limitsOf(schema: Json): string[] {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, items } = schema;
  const own = [
    ...rangeOf(minimum, boundOf(maximum), ''),
    ...rangeOf(minLength, maxLength, ' characters'),
    // Of a tuple, the type says it.
    ...(minItems === maxItems ? [] : rangeOf(minItems, maxItems, ' items')),
    ...(isShown(schema) ? [`pattern \`${pattern}\``] : []),
  ];
  const choices = list(schema.anyOf ?? schema.oneOf);
  if (choices.length > 0) return choices.flatMap(limitsOf);
  const ofItems = items === undefined || Array.isArray(items) ? [] : limitsOf(at(schema, 'items'));
  return [...own, ...ofItems.map((limit) => `each ${limit}`)];
}

/** A longer pattern is a list of words, which the description explains. */
const MOST_PATTERN_CHARACTERS = 80;

/** A format says more than the pattern that it is made of. */
const isShown = ({ pattern, format }: Json): boolean =>
  typeof pattern === 'string' && pattern.length <= MOST_PATTERN_CHARACTERS && format === undefined;

/** Whole numbers that JSON holds exactly are the default, which is no news. */
const boundOf = (bound: unknown): unknown => (bound === Number.MAX_SAFE_INTEGER ? undefined : bound);

function rangeOf(least: unknown, most: unknown, unit: string): string[] {
  if (least === undefined && most === undefined) return [];
  if (most === undefined) return least === Number.MIN_SAFE_INTEGER ? [] : [`at least ${least}${unit}`];
  return [
    least === undefined || least === 0 || least === Number.MIN_SAFE_INTEGER
      ? `at most ${most}${unit}`
      : `${least}–${most}${unit}`,
  ];
}

/** Returns the table row of one field. */
export function row(name: string, isRequired: boolean, schema: Json, description: unknown): string {
  const preset = schema.default === undefined ? '' : `, default ${JSON.stringify(schema.default)}`;
  const cells = [
    `\`${name}\`${isRequired ? '' : ' (optional)'}`,
    [`\`${typeOf(schema)}\`${preset}`, ...limitsOf(schema)].join(', '),
    String(description ?? ''),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const required = (schema: Json): ReadonlySet<string> => new Set(list(schema.required).map(String));
