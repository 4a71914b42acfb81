import { z } from 'zod';

/** A JSON Schema or any other JSON object of a document. */
export type Json = { readonly [key: string]: unknown };

const dialects = {
  'draft-2020-12': '$defs',
  'draft-7': 'definitions',
} as const;

/** Turns schemas into JSON Schema; those with an id are gathered and referred to under `#/components/schemas`. */
export class Components {
  readonly schemas: Record<string, Json> = {};
  readonly #target: keyof typeof dialects;

  constructor(target: keyof typeof dialects) {
    this.#target = target;
  }

  /** `input`: what a client may send, defaults left out. `output`: what comes of it. */
  schema(schema: z.ZodType, io: 'input' | 'output'): Json {
    const keyword = dialects[this.#target];
    const text = JSON.stringify(z.toJSONSchema(schema, { target: this.#target, io }));
    const hoisted = text.replaceAll(`"#/${keyword}/`, '"#/components/schemas/');
    // It was an object before it was text.
    const { $schema: _, [keyword]: named, ...own } = JSON.parse(hoisted) as Json;
    Object.assign(this.schemas, named);
    return own;
  }
}
