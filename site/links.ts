import { posix } from 'node:path';
import type { PageOf } from './outline.js';

/** A link has no target. This error fails the build. */
class BrokenLink extends Error {
  override readonly name = 'BrokenLink';
  constructor(
    readonly where: string,
    readonly href: string,
  ) {
    super(`${where} links to ${href}, which does not exist`);
  }
}

/** URLs of the server that are not part of the site. */
const elsewhere: ReadonlySet<string> = new Set([
  '/',
  '/audit',
  '/admin',
  '/docs/rest',
  '/openapi.json',
  '/asyncapi.json',
  '/ready',
  '/metrics',
]);

/**
 * Returns a function that maps links of a Markdown file to URLs of the site. A link to a `.md` file leads to its page,
 * and a link to another file of `docs/` leads to that file. Links that begin with `/`, `#` or a scheme do not change.
 *
 * @param assets names of the other files, below `docs/`
 * @throws {BrokenLink} if a link names a file that is neither a page nor an asset
 */
export function linksOf(
  source: string,
  pages: readonly PageOf[],
  assets: ReadonlySet<string>,
): (href: string) => string {
  const urls = new Map(pages.flatMap((page) => (page.source === undefined ? [] : [[page.source, page.url]])));
  return (href) => {
    if (/^(?:[a-z]+:|[#/])/.test(href)) return href;
    const [path = '', anchor] = href.split('#');
    const file = posix.join(posix.dirname(source), path).replace(/\/$/, '');
    const asset = file.replace(/^docs\//, '');
    const url = urls.get(file) ?? (assets.has(asset) ? `/docs/${asset}` : undefined);
    if (url === undefined) throw new BrokenLink(source, href);
    return anchor === undefined ? url : `${url}#${anchor}`;
  };
}

/**
 * Checks every link, image, style and script of the finished pages.
 *
 * @param pages their HTML by URL
 * @param files URLs of all other files of the site
 * @throws {BrokenLink} for the first link whose target or anchor does not exist
 */
export function checkLinks(pages: ReadonlyMap<string, string>, files: ReadonlySet<string>): void {
  const ids = new Map([...pages].map(([url, html]) => [url, new Set(attributes(html, 'id'))]));
  for (const [url, html] of pages)
    for (const href of [...attributes(html, 'href'), ...attributes(html, 'src')]) {
      if (/^[a-z]+:/.test(href)) continue;
      const [path = '', anchor] = href.split('#');
      const target = path === '' ? url : path;
      if (!pages.has(target) && !files.has(target) && !elsewhere.has(target)) throw new BrokenLink(url, href);
      if (anchor && !ids.get(target)?.has(decodeURIComponent(anchor))) throw new BrokenLink(url, href);
    }
}

const attributes = (html: string, name: string): string[] =>
  Array.from(html.matchAll(new RegExp(`<[^>]* ${name}="([^"]*)"`, 'g')), ([, value = '']) => value);
