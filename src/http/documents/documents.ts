import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import { z } from 'zod';
import type { ErrorCode } from '../../base/errors.js';
import { serveResource } from '../auth.js';
import { PAGE_POLICY } from '../pages.js';
import { Components, contractVersion, errorCodes, type Json, license, Problem } from '../schemas.js';
import { asyncApi } from './asyncapi.js';
import { type Operation, paths, tags } from './routes.js';

/** The REST side as OpenAPI 3.1, from the schemas that validate requests. */
export function openApi(): Json {
  const components = new Components('draft-2020-12');
  const problem = components.schema(Problem, 'output');
  const describe = (methods: (typeof paths)[string]): Json =>
    Object.fromEntries(
      Object.entries(methods).map(([method, operation]) => [
        method,
        describeOperation(operation, method === 'get', components, problem),
      ]),
    );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley: REST',
      version: contractVersion,
      description:
        'Accounts, users and operations; messages travel over the WebSocket, see `/asyncapi.json`. JSON bodies of at most 64 KiB; unknown fields and parameters are a `bad_request`; errors are `application/problem+json`. A method that a path does not have is answered with 405, and `Allow` names those that it has.',
      license,
    },
    servers: [{ url: '/' }],
    security: [{ session: [] }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths: Object.fromEntries(Object.entries(paths).map(([path, methods]) => [path, describe(methods)])),
    components: {
      schemas: components.schemas,
      securitySchemes: {
        session: { type: 'http', scheme: 'bearer', description: 'The token of a sign-in, or of the issuer.' },
        serverKey: {
          ...{ type: 'http', scheme: 'bearer' },
          description: 'A key of `parley key add`, for the server of the host application.',
        },
      },
    },
  };
}

/** Node answers this itself. */
const HEADERS_TOO_LARGE = { description: 'headers larger than 16 KiB; the answer has no body' };

function describeOperation(
  operation: Operation,
  isReading: boolean,
  components: Components,
  problem: Json,
): Json {
  const { id, summary, about, tag, open, path, query, body, form, status, answer } = operation;
  const refusal = (description: string) => ({
    description,
    content: { 'application/problem+json': { schema: problem } },
  });
  const done = (description: string) => ({
    description,
    ...(answer === undefined ? {} : { content: contentOf(answer, components) }),
  });
  const codes: ErrorCode[] = [
    ...(open ? [] : ['unauthenticated' as const]),
    // A user's requests that change something are counted with those of their sockets.
    ...(open || operation.key || isReading ? [] : ['rate_limited' as const]),
    ...(operation.errors ?? []),
    'internal',
  ];
  const errors = codes.map((code) => {
    const { http, meaning } = errorCodes[code];
    return [http, refusal(`\`${code}\`: ${meaning}`)];
  });
  return {
    operationId: id,
    summary,
    description: about,
    tags: [tag],
    ...(open ? { security: [] } : operation.key ? { security: [{ serverKey: [] }] } : {}),
    parameters: [...(path ?? []), ...(query ? parametersOf(query, components) : [])],
    ...requestBodyOf(operation, components),
    responses: {
      [status]: done('done'),
      ...(operation.creates ? { 201: done('created') } : {}),
      ...Object.fromEntries(errors),
      // Named only where it is the one refusal: beside it, a client could not rely on the body of an error.
      ...(codes.some((code) => errorCodes[code].http < 500) ? {} : { 431: HEADERS_TOO_LARGE }),
      ...(body || form ? { 413: refusal('larger than 64 KiB'), 415: refusal('of another type') } : {}),
    },
  };
}

function requestBodyOf({ body, form, isBodyOptional }: Operation, components: Components): Json {
  const schema = body ?? form;
  if (!schema) return {};
  const type = body ? 'application/json' : 'application/x-www-form-urlencoded';
  const content = { [type]: { schema: components.schema(schema, 'input') } };
  return { requestBody: { required: !isBodyOptional, content } };
}

const parametersOf = (query: z.ZodObject, components: Components): Json[] => {
  const { required } = z.toJSONSchema(query, { io: 'input' });
  return Object.entries(query.shape).map(([name, schema]) => {
    // A parameter is described as the value that its text stands for: `limit` is a number.
    const { description, ...own } = components.schema(schema, 'output');
    return { name, in: 'query', required: required?.includes(name) ?? false, description, schema: own };
  });
};

const contentOf = (answer: z.ZodType | string, components: Components): Json =>
  typeof answer === 'string'
    ? { [answer]: { schema: { type: answer === 'application/json' ? 'object' : 'string' } } }
    : { 'application/json': { schema: components.schema(answer, 'output') } };

/** The contract for machines: made once, by the first request. */
export function mountDocuments(router: Router): void {
  serveJson(router, '/openapi.json', openApi);
  serveJson(router, '/asyncapi.json', asyncApi);
}

function serveJson(router: Router, path: string, make: () => Json): void {
  let made: { readonly body: string; readonly etag: string } | undefined;
  serveResource(router, path, {
    GET: (ctx) => {
      made ??= withEtag(JSON.stringify(make()));
      const { body, etag } = made;
      ctx.status = 200;
      // Browsers check it each time, and are sent it only when it has changed.
      ctx.set({ 'Content-Security-Policy': PAGE_POLICY, 'Cache-Control': 'no-cache' });
      ctx.etag = etag;
      ctx.type = 'json';
      if (ctx.fresh) ctx.status = 304;
      else ctx.body = body;
    },
  });
}

const withEtag = (body: string) => ({
  body,
  etag: createHash('sha256').update(body).digest('base64url'),
});
