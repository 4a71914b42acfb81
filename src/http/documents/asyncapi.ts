import { z } from 'zod';
import { ERROR_REASONS } from '../../base/errors.js';
import { pushes, requests } from '../../domain/contract.js';
import { MAX_FRAME_BYTES } from '../../domain/limits.js';
import { closeCodes } from '../../gateway/protocol.js';
import { Components, contractVersion, errorCodes, errorReasons, type Json, license } from '../schemas.js';

const RequestId = z.union([z.int(), z.string().max(128)]).meta({
  description: 'The client’s choice: a safe integer, or at most 128 bytes of text. The answer has it too.',
});
const Cursor = z.string().meta({
  description: 'Opaque. Store it after handling the push; give the last one to the next `identity`.',
});
const ErrorAnswer = z.strictObject({
  // Absent if the frame had none that is usable.
  id: RequestId.exactOptional(),
  event: z.string().exactOptional(),
  error: z.strictObject({
    code: z.enum(Object.keys(errorCodes)),
    message: z.string(),
    fields: z.array(z.strictObject({ path: z.string(), message: z.string() })).exactOptional(),
    reason: z.enum(ERROR_REASONS).exactOptional(),
    detail: z.string().exactOptional().meta({ description: 'With the reason `host`: its own word.' }),
    retryAfterMs: z.int().min(0).exactOptional(),
    incident: z.string().exactOptional(),
  }),
});

/** `send message` as a key: `sendMessage`. */
const key = (event: string): string => event.replace(/ (.)/g, (_, letter: string) => letter.toUpperCase());
const table = (rows: readonly (readonly [string | number, string])[]): string =>
  rows.map(([code, meaning]) => `- \`${code}\`: ${meaning}`).join('\n');

const description = `One JSON object a text frame. A client sends requests \`{id, event, data}\`, each is answered with the same \`id\` and \`event\` and either \`data\` or \`error\`; the server pushes \`{event, data, cursor?}\`. Answers may come out of order; requests on one room take effect in the order sent. Every command may be repeated.

Errors:

${table(Object.entries(errorCodes).map(([code, { meaning }]) => [code, meaning] as const))}

Reasons, which an error may have beside its code:

${table(Object.entries(errorReasons))}

Close codes:

${table(Object.entries(closeCodes))}`;

const channel = { $ref: '#/channels/socket' };

const titleOf = (name: string): string => name.replace(/^./, (letter) => letter.toUpperCase());

/** Names each of these schemas, and those in it by their place, so that generators of code have names for their types. */
const titled = (schemas: object, titleFor: (name: string) => string): Json =>
  Object.fromEntries(
    Object.entries(schemas).map(([name, schema]: [string, Json]) => [
      name,
      withTitles(schema, titleFor(name)),
    ]),
  );

/** The title of an alternative ends with its type, or with its number if an earlier one has that type. */
function titlesOfChoices(choices: readonly Json[], title: string): string[] {
  const types = choices.map(({ type }) => titleOf(String(type ?? 'choice')));
  return types.map((type, i) => title + (types.indexOf(type) === i ? type : `${type}${i + 1}`));
}

/** A schema with a title, and all schemas in it likewise. A reference has none: it leads to a schema with a title. */
function withTitles(schema: Json, title: string): Json {
  if ('$ref' in schema) return schema;
  const parts = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (typeof value !== 'object' || value === null) return [keyword, value];
    switch (keyword) {
      case 'properties':
        return [keyword, titled(value, (name) => title + titleOf(name))];
      case 'items':
        if (Array.isArray(value))
          return [keyword, value.map((item, i) => withTitles(item, `${title}${i + 1}`))];
        return [keyword, withTitles(value as Json, `${title}Item`)]; // It is a schema.
      case 'additionalProperties':
        return [keyword, withTitles(value as Json, `${title}Value`)]; // So is this.
      case 'propertyNames':
        return [keyword, withTitles(value as Json, `${title}Key`)]; // So is this.
      case 'anyOf':
      case 'oneOf':
      case 'allOf': {
        const choices = value as Json[]; // These are schemas.
        const titles = titlesOfChoices(choices, title);
        return [keyword, choices.map((choice, i) => withTitles(choice, titles[i] ?? title))];
      }
      default:
        return [keyword, value];
    }
  });
  return { title, ...Object.fromEntries(parts) };
}

/** Gathers the messages of the document, and refers to them by name. */
class Messages {
  readonly all: Record<string, Json> = {};
  readonly components = new Components('draft-7');

  add(name: string, about: { event: string; summary: string }, payload: z.ZodType, io: 'input' | 'output') {
    const { event, summary } = about;
    const schema = withTitles(this.components.schema(payload, io), titleOf(name));
    this.all[name] = { name: event, title: event, summary, payload: schema };
    return { $ref: `#/channels/socket/messages/${name}` };
  }
}

function requestOperations(messages: Messages): Record<string, Json> {
  const operations: Record<string, Json> = {};
  const failed = { event: 'error', summary: 'A request was not done' };
  const error = messages.add('error', failed, ErrorAnswer, 'output');
  for (const { name: event, data, answer, note } of Object.values(requests)) {
    const name = key(event);
    const is = z.literal(event);
    const request = z.strictObject({ id: RequestId, event: is, data });
    const reply = z.strictObject({ id: RequestId, event: is, data: answer });
    const answered = { event, summary: `Answers: ${event}` };
    operations[name] = {
      action: 'receive',
      channel,
      summary: event,
      description: note,
      messages: [messages.add(`${name}Request`, { event, summary: `Asks: ${event}` }, request, 'input')],
      reply: { channel, messages: [messages.add(`${name}Answer`, answered, reply, 'output'), error] },
    };
  }
  return operations;
}

function pushOperations(messages: Messages): Record<string, Json> {
  const operations: Record<string, Json> = {};
  for (const { name: event, isStored, hasCursor, data, note } of Object.values(pushes)) {
    const name = `${key(event)}Push`;
    const frame = { event: z.literal(event), data };
    const push = isStored || hasCursor ? z.strictObject({ ...frame, cursor: Cursor }) : z.strictObject(frame);
    operations[name] = {
      action: 'send',
      channel,
      summary: event,
      description: note,
      messages: [messages.add(name, { event, summary: `Pushes: ${event}` }, push, 'output')],
    };
  }
  return operations;
}

const server = {
  host: '{host}',
  protocol: 'ws',
  variables: { host: { default: 'localhost:3000' } },
  security: [{ $ref: '#/components/securitySchemes/session' }],
};

const session = {
  type: 'http',
  scheme: 'bearer',
  description: 'At the upgrade, or as `token` in `identity`; never in the URL.',
};

/** The socket as AsyncAPI 3.0, from the declarations that validate it. */
export function asyncApi(): Json {
  const messages = new Messages();
  const operations = { ...requestOperations(messages), ...pushOperations(messages) };
  const references = Object.keys(messages.all).map((name) => [
    name,
    { $ref: `#/components/messages/${name}` },
  ]);
  return {
    asyncapi: '3.0.0', // Generators of code read no later version yet.
    info: {
      title: 'Parley: WebSocket',
      version: contractVersion,
      description,
      license,
      tags: [{ name: 'Messaging', description: 'Rooms, messages, friends and presence.' }],
    },
    defaultContentType: 'application/json',
    servers: { node: server },
    channels: {
      socket: {
        address: '/ws',
        description: `Text frames of at most ${MAX_FRAME_BYTES / 1024} KiB; no compression.`,
        messages: Object.fromEntries(references),
        bindings: { ws: { method: 'GET' } },
      },
    },
    operations,
    components: {
      messages: messages.all,
      schemas: titled(messages.components.schemas, (name) => name),
      securitySchemes: { session },
    },
  };
}
