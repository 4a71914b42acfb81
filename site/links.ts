import { posix } from 'node:path';
import type { PageOf } from './outline.js';

/** A link in a text that leads nowhere; the build ends with it. */
class BrokenLink extends Error {
  override readonly name = 'BrokenLink';
  constructor(
    readonly where: string,
    readonly href: string,
  ) {
    super(`${where} links to ${href}, which is not there`);
  }
}

/** What the server serves besides the site. */
const elsewhere: ReadonlySet<string> = new Set([
  '/',
  '/audit',
  '/docs/rest',
  '/openapi.json',
  '/asyncapi.json',
  '/ready',
  '/metrics',
]);

/**
 * Where links of a Markdown file lead on the site: `.md` files to their pages, other files of `docs/` to
 * themselves. What begins with `/`, `#` or a scheme stays as it is.
 *
 * @param assets names of the other files, below `docs/`
 * @throws {BrokenLink} where a link names a file that is no page and no asset
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
 * Looks at every link, image, style and script of finished pages.
 *
 * @param pages their HTML by URL
 * @param files URLs of everything else that is on the site
 * @throws {BrokenLink} the first that leads nowhere, or whose anchor is not on the page
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
