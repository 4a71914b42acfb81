import type { Json } from '../src/http/documents/contractParts.js';

// The documents are made by this project, so that their shape is known; these read it without repeating it as types.

/** What is at the end of a path in a document. */
export const at = (json: unknown, ...path: string[]): Json =>
  path.reduce((value, name) => (value as Json)[name] as Json, json as Json);

/** A list of a document; none is empty. */
export const list = (json: unknown): readonly Json[] => (json ?? []) as Json[];

/** The name that a `$ref` ends with. */
export const lastOf = (ref: unknown): string => String(ref).split('/').at(-1) ?? '';

/** A schema in a few words: `[Chat]`, `string (uuid)`, `integer`. */
export function typeOf(schema: Json): string {
  if (schema.$ref !== undefined) return lastOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined)
    return (schema.enum as unknown[]).map((each) => JSON.stringify(each)).join(' or ');
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return list(either).map(typeOf).join(' or ');
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

/** The fields of an object as a table in Markdown. */
export function fieldsOf(schema: Json): string {
  const needed = required(schema);
  const rows = Object.entries(at(schema, 'properties') ?? {}).map(([name, value]) => {
    const field = value as Json; // Properties are schemas.
    return row(name, needed.has(name), field, field.description);
  });
  return rows.length === 0 ? 'No fields.\n' : fieldTable(rows);
}

/** Rows of `row` with their heads. */
export const fieldTable = (rows: readonly string[]): string =>
  `| field | type | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;

/** One field of a table. */
export function row(name: string, isRequired: boolean, schema: Json, description: unknown): string {
  const preset = schema.default === undefined ? '' : `, else ${JSON.stringify(schema.default)}`;
  const cells = [
    `\`${name}\`${isRequired ? '' : ' (optional)'}`,
    `\`${typeOf(schema)}\`${preset}`,
    String(description ?? ''),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const required = (schema: Json): ReadonlySet<string> => new Set(list(schema.required).map(String));
