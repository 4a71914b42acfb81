import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type Router from '@koa/router';
import { resource } from '../resource.js';
import { asyncApi } from './asyncapi.js';
import { openApi } from './openapi.js';
import { css, page, script } from './page.js';

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
