import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';

const built = (path) => pathToFileURL(resolve('dist', 'src', path)).href;

/** Writes JSON Schemas as types. Schemas with an id become declarations. */
class Types {
  #declared = new Map();

  /** The type of what a client writes (`input`), or of what the server sends (`output`). */
  of(schema, io) {
    const { $defs = {}, ...own } = z.toJSONSchema(schema, { io });
    const names = new Map(
      Object.entries($defs).map(([id, named]) => {
        const text = JSON.stringify(named);
        // What a client writes may be less than what the server sends of the same.
        const isOther = this.#declared.has(id) && this.#declared.get(id).text !== text;
        const name = isOther ? `${id}${io === 'input' ? 'Input' : ''}` : id;
        if (isOther && this.#declared.has(name) && this.#declared.get(name).text !== text)
          throw new Error(`there are two forms of ${name}`);
        return [id, name];
      }),
    );
    for (const [id, named] of Object.entries($defs)) {
      const name = names.get(id);
      if (this.#declared.has(name)) continue;
      this.#declared.set(name, { text: JSON.stringify(named) });
      this.#declared.get(name).type = this.#write(named, names);
    }
    return this.#write(own, names);
  }

  declarations() {
    return [...this.#declared].map(([name, { type }]) => `export type ${name} = ${type};\n`).join('');
  }

  #write(schema, names) {
    const { $ref, const: constant, enum: values, oneOf, anyOf = oneOf, type } = schema;
    if ($ref !== undefined) return names.get($ref.split('/').at(-1));
    if (constant !== undefined) return JSON.stringify(constant);
    if (values) return values.map((value) => JSON.stringify(value)).join(' | ');
    if (anyOf) return anyOf.map((one) => this.#write(one, names)).join(' | ');
    if (Array.isArray(type))
      return type.map((one) => this.#write({ ...schema, type: one }, names)).join(' | ');
    if (type === 'array') return this.#array(schema, names);
    if (type === 'object') return this.#object(schema, names);
    if (type === 'integer') return 'number';
    if (type !== undefined) return type;
    if (Object.keys(schema).every((key) => ['$schema', 'description'].includes(key))) return 'unknown';
    throw new Error(`there is no type of ${JSON.stringify(schema)}`);
  }

  #array({ prefixItems, items }, names) {
    if (prefixItems) return `[${prefixItems.map((item) => this.#write(item, names)).join(', ')}]`;
    return `(${this.#write(items, names)})[]`;
  }

  #object({ properties, required = [], additionalProperties = {} }, names) {
    if (!properties && typeof additionalProperties === 'object')
      return `Record<string, ${this.#write(additionalProperties, names)}>`;
    const fields = Object.entries(properties ?? {}).map(([name, schema]) => {
      const note = schema.description ? `/** ${schema.description} */ ` : '';
      const optional = required.includes(name) ? '' : '?';
      // What has a default may be undefined too.
      const type = `${this.#write(schema, names)}${optional && 'default' in schema ? ' | undefined' : ''}`;
      return `${note}${JSON.stringify(name)}${optional}: ${type};`;
    });
    return fields.length === 0 ? 'Record<string, never>' : `{ ${fields.join(' ')} }`;
  }
}

/** The types that the client shares with the server, as declarations without an import. */
export async function contractTypes() {
  const { requests, pushes } = await import(built('domain/contract.js'));
  const { ERROR_CODES, ERROR_REASONS } = await import(built('base/errors.js'));
  const types = new Types();
  const table = (name, of, write) =>
    `interface ${name} {\n${Object.keys(of)
      .map((key) => `  ${JSON.stringify(key)}: ${write(of[key])};\n`)
      .join('')}}\n`;
  const tables = [
    table('Pushes', pushes, ({ data }) => types.of(data, 'output')),
    table('Answers', requests, ({ answer }) => types.of(answer, 'output')),
    table('Inputs', requests, ({ data }) => types.of(data, 'input')),
  ];
  const union = (values) => values.map((value) => `'${value}'`).join(' | ');
  // It has no schema, and no type that it needs.
  const [fieldError] = /export interface FieldError \{[^}]*\}\n/.exec(
    readFileSync(join('dist', 'src', 'base', 'errors.d.ts'), 'utf8'),
  );
  return `/** The types of the contract, made from its schemas. */
export type ErrorCode = ${union(ERROR_CODES)};
export type ErrorReason = ${union(ERROR_REASONS)};
${fieldError}${types.declarations()}${tables.join('')}
export type PushName = keyof Pushes;
export type PushData<N extends PushName> = Pushes[N];
export type RequestName = keyof Inputs;
/** What a client may write: fields with a default may be left out. */
export type RequestInput<N extends RequestName> = Inputs[N];
export type RequestAnswer<N extends RequestName> = Answers[N];
`;
}
