import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { writePublished } from './files.js';
import { layout } from './layout.js';
import { checkLinks, linksOf } from './links.js';
import { render } from './markdown.js';
import { decisionPages, outline, type PageOf } from './outline.js';
import { protocol } from './protocol.js';
import { reference } from './reference.js';
import { tryRest } from './tryRest.js';

/** Returns the files of `docs/` that are not Markdown. The server serves them unchanged. */
function assetsOf(root: string): ReadonlySet<string> {
  const folder = join(root, 'docs');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const names = files.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
  return new Set(names.filter((name) => !name.endsWith('.md')).map((name) => name.replaceAll(sep, '/')));
}

/**
 * Builds the documentation site.
 *
 * @param root folder of the repository
 * @param client folder of the compiled declarations of the client
 * @param out folder of the site; it is emptied first
 * @throws {BrokenLink} if a link has no target
 */
export async function buildSite(root: string, client: string, out: string): Promise<void> {
  const decisions = decisionPages(root);
  const pages: readonly PageOf[] = outline.flatMap(({ pages }) => pages);
  const every = [...pages, ...decisions];
  const assets = assetsOf(root);
  const style = readFileSync(join(root, 'site/site.css'));
  const styleName = `assets/site.${createHash('sha256').update(style).digest('hex').slice(0, 12)}.css`;

  const entries = new Map([
    ['@parley/client', join(client, 'index.d.ts')],
    ['@parley/client/browser', join(client, 'browser.d.ts')],
  ]);
  const made = {
    protocol,
    reference: () => reference(root, entries),
    decisions: () =>
      `# Decisions\n\nEach page has the context, the decision and its consequences.\n\n${decisions.map(({ name, url }) => `- [${name}](${url})`).join('\n')}\n`,
  };
  const html = new Map<string, string>();
  for (const page of every) {
    const markdown = 'made' in page ? await made[page.made]() : readFileSync(join(root, page.source), 'utf8');
    const text = render(markdown, linksOf(page.source ?? 'docs', every, assets));
    const at = pages.indexOf(page);
    const [previous, next] = at < 0 ? [undefined, undefined] : [pages[at - 1], pages[at + 1]];
    html.set(
      page.url,
      layout(text.title, text.html, { outline, page, previous, next, style: `/docs/${styleName}` }),
    );
  }
  checkLinks(html, new Set([...assets, styleName].map((name) => `/docs/${name}`)));

  await rm(out, { recursive: true, force: true });
  await writePublished(join(out, styleName), style);
  for (const name of assets) await writePublished(join(out, name), readFileSync(join(root, 'docs', name)));
  for (const [name, content] of tryRest()) await writePublished(join(out, name), content);
  for (const [url, text] of html) await writePublished(join(out, fileOf(url)), text);
}

const fileOf = (url: string): string => {
  if (url === '/docs' || url === '/docs/decisions') return `${url.slice('/docs/'.length)}/index.html`;
  return `${url.slice('/docs/'.length)}.html`;
};
