import type { z } from 'zod';
import type { ErrorCode } from '../../errors.js';
import { Problem } from '../schemas.js';
import { Components, type Json } from './components.js';
import { contractVersion, errorCodes } from './contract.js';
import { type Operation, paths } from './routes.js';

/** The REST side as OpenAPI 3.1, from the schemas that validate it. */
export function openApi(): Json {
  const components = new Components('draft-2020-12');
  const problem = components.schema(Problem, 'output');
  const refusal = (description: string) => ({
    description,
    content: { 'application/problem+json': { schema: problem } },
  });
  const error = (code: ErrorCode) => refusal(`\`${code}\`: ${errorCodes[code].meaning}`);
  const parameters = (query: z.ZodObject) =>
    Object.entries(query.shape).map(([name, schema]) => {
      const optional = schema.safeParse(undefined).success;
      // A parameter is described by what its text means: a number for `limit`.
      const { description, ...own } = components.schema(schema, 'output');
      return { name, in: 'query', required: !optional, description, schema: own };
    });
  const content = (answer: z.ZodType | string) =>
    typeof answer === 'string'
      ? { [answer]: { schema: { type: answer === 'application/json' ? 'object' : 'string' } } }
      : { 'application/json': { schema: components.schema(answer, 'output') } };

  const describe = (operation: Operation) => {
    const { id, summary, tag, open, path, query, body, status, answer } = operation;
    const codes: ErrorCode[] = [
      ...(open ? [] : ['unauthenticated' as const]),
      ...(operation.errors ?? []),
      'internal',
    ];
    return {
      operationId: id,
      summary,
      tags: [tag],
      ...(open ? { security: [] } : {}),
      parameters: [...(path ?? []), ...(query ? parameters(query) : [])],
      ...(body
        ? {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: components.schema(body, 'input') } },
            },
          }
        : {}),
      responses: {
        [status]: { description: 'done', ...(answer === undefined ? {} : { content: content(answer) }) },
        ...Object.fromEntries(codes.map((code) => [errorCodes[code].http, error(code)])),
        ...(body ? { 413: refusal('larger than 64 KiB'), 415: refusal('not JSON in UTF-8') } : {}),
      },
    };
  };

  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley: REST',
      version: contractVersion,
      description:
        'Accounts, users and operations; messages travel over the WebSocket, see `/asyncapi.json`. JSON bodies of at most 64 KiB; unknown fields and parameters are a `bad_request`; errors are `application/problem+json`.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ session: [] }],
    tags: ['Users', 'Audit', 'Operations', 'Documents'].map((name) => ({ name })),
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, methods]) => [
        path,
        Object.fromEntries(
          Object.entries(methods).map(([method, operation]) => [method, describe(operation)]),
        ),
      ]),
    ),
    components: {
      schemas: components.schemas,
      securitySchemes: {
        session: { type: 'http', scheme: 'bearer', description: 'The token of a sign-in.' },
      },
    },
  };
}
