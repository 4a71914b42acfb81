import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context, Middleware } from 'koa';
import { HttpError } from './problems.js';

const STYLE_SOURCE = "style-src 'self'";

/** Scripts, styles and requests of this server only. Pages hold no inline scripts, so that injected ones cannot run. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  STYLE_SOURCE,
  // Swagger UI and the browser's own controls draw icons from data: URLs.
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SUFFIX = { br: '.br', gzip: '.gz' } as const;
/** The smaller first. */
const COMPRESSIONS = ['br', 'gzip'] as const;
type Encoding = keyof typeof SUFFIX | 'identity';

interface PageFile {
  readonly name: string;
  readonly etag: string;
  readonly policy: string;
  readonly bodies: ReadonlyMap<Encoding, Buffer>;
}

/** By path. */
type Pages = ReadonlyMap<string, PageFile>;

/**
 * Reads a folder of built pages, once, when the server starts; a folder that was not built has none. `index.html` is
 * served at `mount`, `name.html` at `mount/name`, other files by their names. `.br` and `.gz` files hold the compressed
 * forms of their neighbours.
 *
 * @param mount `''` for the root, or a path such as `/docs`
 */
function readPages(folder: string, mount: string): Pages {
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(?:br|gz)$/.test(entry.name))
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll(sep, '/'),
    );
  return new Map(names.map((name) => [pathOf(name, mount), readPage(join(folder, name), name)]));
}

function pathOf(name: string, mount: string): string {
  const page = name.replace(/(?:(?:^|\/)index)?\.html$/, '');
  return page === '' ? mount || '/' : `${mount}/${page}`;
}

function readPage(file: string, name: string): PageFile {
  const body = readFileSync(file);
  const bodies = new Map<Encoding, Buffer>([['identity', body]]);
  for (const encoding of COMPRESSIONS) {
    const compressed = file + SUFFIX[encoding];
    if (existsSync(compressed)) bodies.set(encoding, readFileSync(compressed));
  }
  const etag = createHash('sha256').update(body).digest('base64url');
  return { name, etag, policy: policyFor(name.endsWith('.html') ? body.toString() : ''), bodies };
}

/** The policy for a page, which allows the styles that are in it by their hash, and no others. */
function policyFor(page: string): string {
  const hashes = [...page.matchAll(/<style>(.*?)<\/style>/gs)].map(
    ([, style = '']) => ` 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  );
  return PAGE_POLICY.replace(STYLE_SOURCE, `$&${hashes.join('')}`);
}

const builtFolder = (folder: string): string => fileURLToPath(new URL(`../../${folder}`, import.meta.url));

/** The chat, the audit console and the documentation, which the build has put beside this code. */
export const builtPages = (): Pages =>
  new Map([...readPages(builtFolder('pages'), ''), ...readPages(builtFolder('docs'), '/docs')]);

/** Where the build puts the page for a path that has none, a file for each language. */
const MISSING = '/404/';
/** Where the build puts the page `/` with the form for somebody new in it, a file for each language. */
const DRAWN = '/drawn/';

/** What is served at no path of its own. */
const PARTS = /^\/(?:404|drawn)(?:\/|$)/;

/** Finds the page of a folder in the language that a browser asks for; in English for those who do not say. */
function pageByLanguage(pages: Pages, folder: string): (ctx: Context) => PageFile | undefined {
  const found = [...pages.keys()].filter((path) => path.startsWith(folder));
  const languages = [...new Set(['en', ...found.map((path) => path.slice(folder.length))])];
  return (ctx) => pages.get(folder + (ctx.acceptsLanguages(languages) || 'en'));
}

/** Shows a page to a person whose browser asks for a path that has none, and passes other clients on. */
export function serveMissing(pages: Pages): Middleware {
  const findPage = pageByLanguage(pages, MISSING);
  return (ctx, next) => {
    const page = findPage(ctx);
    // A client that takes anything is no browser, and gets the error as JSON.
    if (!page || ctx.method !== 'GET' || ctx.accepts('json', 'html') !== 'html') return next();
    ctx.vary(['Accept', 'Accept-Language']);
    return send(ctx, page, 404);
  };
}

/**
 * Serves pages to `GET` and `HEAD`, and passes other paths on.
 *
 * @param canSignUp whether anybody may sign up with a password, and in no other way
 */
export function servePages(pages: Pages, canSignUp: boolean): Middleware {
  const allow = 'GET, HEAD, OPTIONS';
  const findDrawn = pageByLanguage(pages, DRAWN);
  const findPage = (ctx: Context): PageFile | undefined => {
    if (PARTS.test(ctx.path)) return undefined;
    const drawn = canSignUp && isNewcomer(ctx) ? findDrawn(ctx) : undefined;
    return drawn ?? pages.get(ctx.path);
  };
  return (ctx, next) => {
    const page = findPage(ctx);
    if (!page) return next();
    if (ctx.method === 'GET' || ctx.method === 'HEAD') return send(ctx, page);
    if (ctx.method !== 'OPTIONS')
      throw new HttpError(405, `${ctx.method} is not allowed here, only ${allow}`, { Allow: allow });
    ctx.set('Allow', allow);
    ctx.status = 204;
  };
}

/**
 * Whether this is a browser that has no version of the chat yet, so that nobody can be signed in there. Whoever is must
 * not see the form before the chats. The service worker and scripts ask for no document.
 */
const isNewcomer = ({ path, querystring, headers }: Context): boolean =>
  path === '/' &&
  querystring === '' &&
  headers['if-none-match'] === undefined &&
  headers.accept?.includes('text/html') === true;

function send(ctx: Context, { name, etag, policy, bodies }: PageFile, status = 200): void {
  // Clients say which they take; the order in which they say it means nothing.
  const encoding = COMPRESSIONS.find((each) => bodies.has(each) && ctx.acceptsEncodings(each)) ?? 'identity';
  // Assets are named by a hash of their content and never change; all else is checked each time.
  const cache = /(?:^|\/)assets\//.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache';
  ctx.status = status;
  ctx.set({ 'Content-Security-Policy': policy, 'Cache-Control': cache });
  ctx.vary(ctx.path === '/' ? ['Accept', 'Accept-Encoding', 'Accept-Language'] : 'Accept-Encoding');
  ctx.etag = `${etag}-${encoding}`;
  ctx.type = name.slice(name.lastIndexOf('.'));
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  if (encoding !== 'identity') ctx.set('Content-Encoding', encoding);
  ctx.body = bodies.get(encoding);
}
