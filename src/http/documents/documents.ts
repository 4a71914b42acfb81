import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type Router from '@koa/router';
import type { z } from 'zod';
import type { ErrorCode } from '../../base/errors.js';
import { resource } from '../auth.js';
import { Problem } from '../schemas.js';
import { asyncApi } from './asyncapi.js';
import { Components, contractVersion, errorCodes, type Json } from './contractParts.js';
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

/** Swagger UI with what it loads, all from this server; the contract as a text is part of the documentation. */

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley: try REST</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/rest/page.css">
<link rel="stylesheet" href="/docs/rest/swagger-ui.css">
<script src="/docs/rest/swagger-ui-bundle.js" defer></script>
<script src="/docs/rest/page.js" defer></script>
</head>
<body>
<header><h1>Try the REST side</h1>
<p><a href="/docs/protocol">The contract</a> says what each answer means, and what travels over the socket;
<a href="/openapi.json">openapi.json</a> is this page for machines.</p></header>
<main id="rest"></main>
</body>
</html>
`;

const css = `:root { color-scheme: light; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; }
header { max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem; }
a { color: #1a56c4; }
`;

const script = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#rest',
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
});
`;

const installed = (url: string): Buffer => readFileSync(new URL(url));

// Swagger UI draws its icons from data: URLs; "try it out" asks this server only.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The contract for machines, and a page to try it in: made and read once, when the server starts. */
export function serveDocuments(router: Router): void {
  const file = (path: string, type: string, body: string | Buffer): void =>
    serveFile(router, path, type, body);
  file('/openapi.json', 'json', JSON.stringify(openApi()));
  file('/asyncapi.json', 'json', JSON.stringify(asyncApi()));
  file('/docs/rest', 'html', page);
  file('/docs/rest/page.css', 'css', css);
  file('/docs/rest/page.js', 'js', script);
  const bundle = installed(import.meta.resolve('swagger-ui-dist/swagger-ui-bundle.js'));
  file('/docs/rest/swagger-ui.css', 'css', installed(import.meta.resolve('swagger-ui-dist/swagger-ui.css')));
  file('/docs/rest/swagger-ui-bundle.js', 'js', bundle);
}

function serveFile(router: Router, path: string, type: string, body: string | Buffer): void {
  const etag = createHash('sha256').update(body).digest('base64url');
  resource(router, path, {
    GET: (ctx) => {
      ctx.status = 200;
      // Asked for again each time, sent again only when it has changed.
      ctx.set({ 'Content-Security-Policy': policy, 'Cache-Control': 'no-cache' });
      ctx.etag = etag;
      ctx.type = type;
      if (ctx.fresh) ctx.status = 304;
      else ctx.body = body;
    },
  });
}
