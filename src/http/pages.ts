import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context, Middleware } from 'koa';
import { HttpError } from './problems.js';

/** Scripts, styles and requests of this server only; pages hold nothing inline, so nothing put into one can run. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Swagger UI and the browser's own controls draw icons from data: URLs.
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const endings = { br: '.br', gzip: '.gz' } as const;
const compressions = ['br', 'gzip'] as const;
type Encoding = keyof typeof endings | 'identity';

/** A file as it may be sent. */
interface PageFile {
  readonly name: string;
  readonly etag: string;
  readonly bodies: ReadonlyMap<Encoding, Buffer>;
}

/** What is served, by path. */
type Pages = ReadonlyMap<string, PageFile>;

/**
 * Reads a folder of built pages: `index.html` is at `mount` itself, `name.html` at `mount/name`, any other
 * file under its own name; a neighbour ending in `.br` or `.gz` is the same file compressed. Read once, when the
 * server starts. A folder that was not built holds nothing.
 *
 * @param mount where they are: `''` for the root, `/docs` for a part
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
  for (const encoding of compressions) {
    const compressed = file + endings[encoding];
    if (existsSync(compressed)) bodies.set(encoding, readFileSync(compressed));
  }
  return { name, etag: createHash('sha256').update(body).digest('base64url'), bodies };
}

const built = (folder: string): string => fileURLToPath(new URL(`../../${folder}`, import.meta.url));

/** The pages that the build has put beside this code: the chat, the audit console and the documentation. */
export const builtPages = (): Pages =>
  new Map([...readPages(built('pages'), ''), ...readPages(built('docs'), '/docs')]);

/** Serves pages to `GET` and `HEAD`; any other path goes on. */
export function servePages(pages: Pages): Middleware {
  const allow = 'GET, HEAD, OPTIONS';
  return (ctx, next) => {
    const page = pages.get(ctx.path);
    if (!page) return next();
    if (ctx.method === 'GET' || ctx.method === 'HEAD') return send(ctx, page);
    if (ctx.method !== 'OPTIONS')
      throw new HttpError(405, `${ctx.method} is not for this path`, { Allow: allow });
    ctx.set('Allow', allow);
    ctx.status = 204;
  };
}

function send(ctx: Context, { name, etag, bodies }: PageFile): void {
  // The smaller first: clients name what they take, and mean no order by it.
  const encoding = compressions.find((each) => bodies.has(each) && ctx.acceptsEncodings(each)) ?? 'identity';
  // What the build names by its content never changes; the rest is asked for again, and sent when it has changed.
  const cache = /(?:^|\/)assets\//.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache';
  ctx.status = 200;
  ctx.set({ 'Content-Security-Policy': pagePolicy, 'Cache-Control': cache, Vary: 'Accept-Encoding' });
  ctx.etag = `${etag}-${encoding}`;
  ctx.type = name.slice(name.lastIndexOf('.'));
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  if (encoding !== 'identity') ctx.set('Content-Encoding', encoding);
  ctx.body = bodies.get(encoding);
}
