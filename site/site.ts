import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { bundle } from './bundle.js';
import { writePublished } from './files.js';
import { layout } from './layout.js';
import { checkLinks, linksOf } from './links.js';
import { render, type Text } from './markdown.js';
import { decisionPages, outline, type PageOf } from './outline.js';
import { protocol } from './protocol.js';
import { reference } from './reference.js';
import { searchIndex } from './searchIndex.js';
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
  const texts = new Map<PageOf, Text>();
  for (const page of every) {
    const markdown = 'made' in page ? await made[page.made]() : readFileSync(join(root, page.source), 'utf8');
    texts.set(page, render(markdown, linksOf(page.source ?? 'docs', every, assets)));
  }
  const searched = [...texts].map(([{ url, name }, { html }]) => ({ url, name, html }));
  const style = hashed('site.css', readFileSync(join(root, 'site/site.css'), 'utf8'));
  const script = hashed('search.js', await bundle(join(root, 'web/docs/search.ts')));
  const index = hashed('search.json', searchIndex(searched));
  const files = {
    style: `/docs/${style.name}`,
    script: `/docs/${script.name}`,
    index: `/docs/${index.name}`,
  };

  const html = new Map<string, string>();
  for (const [page, text] of texts) {
    const at = pages.indexOf(page);
    const [previous, next] = at < 0 ? [undefined, undefined] : [pages[at - 1], pages[at + 1]];
    html.set(page.url, layout(text, { outline, page, previous, next, files }));
  }
  checkLinks(html, new Set([...[...assets].map((name) => `/docs/${name}`), ...Object.values(files)]));

  await rm(out, { recursive: true, force: true });
  for (const { name, content } of [style, script, index]) await writePublished(join(out, name), content);
  for (const name of assets) await writePublished(join(out, name), readFileSync(join(root, 'docs', name)));
  for (const [name, content] of tryRest()) await writePublished(join(out, name), content);
  for (const [url, text] of html) await writePublished(join(out, fileOf(url)), text);
}

/** Names a file by a hash of its content, so that browsers may keep it for ever. */
function hashed(file: string, content: string): { readonly name: string; readonly content: string } {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  return { name: `assets/${file.replace('.', `.${hash}.`)}`, content };
}

const fileOf = (url: string): string => {
  if (url === '/docs' || url === '/docs/decisions') return `${url.slice('/docs/'.length)}/index.html`;
  return `${url.slice('/docs/'.length)}.html`;
};
