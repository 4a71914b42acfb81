import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import MiniSearch from 'minisearch';
import * as client from '../../packages/client/src/index.js';
import { checkLinks, linksOf } from '../../site/links.js';
import { render } from '../../site/markdown.js';
import { outline } from '../../site/outline.js';
import { referenceOf } from '../../site/referenceText.js';
import { sectionsOf } from '../../site/searchIndex.js';
import { type Indexed, searchOptions } from '../../site/searchOptions.js';
import { ERROR_REASONS } from '../../src/base/errors.js';
import { pushes, requests } from '../../src/domain/contract.js';
import { closeCodes } from '../../src/gateway/protocol.js';
import { paths } from '../../src/http/documents/routes.js';
import { errorCodes } from '../../src/http/schemas.js';
import { repository } from '../deploy/dockerfile.js';
import { ask, type FakeTarget, startHttp } from '../support/http.js';

/** The folder of the built site. */
const folder = fileURLToPath(new URL('../../docs/', import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
const read = (name: string): string => readFileSync(folder + name, 'utf8');
/** All but the page that tries REST, which is a program. */
const pages = files.filter((name) => name.endsWith('.html') && !name.startsWith('rest/'));

describe('The documentation', () => {
  it('has every page of its outline, with a link from every other page', () => {
    for (const { url } of outline.flatMap((part) => part.pages))
      for (const page of pages) expect(read(page), `${page} to ${url}`).to.include(`<li><a href="${url}"`);
  });

  it('is served completely at the URLs of its links', async () => {
    const target: FakeTarget = await startHttp();
    try {
      const links = new Set(pages.flatMap((page) => attributesOf(read(page), 'href|src|data-index')));
      const own = [...links]
        .map((link) => link.split('#')[0] ?? '')
        .filter((path) => path.startsWith('/docs'));
      expect(own).to.include.members(['/docs', '/docs/rest', '/docs/decisions']);
      for (const path of new Set(own))
        expect((await ask(target.url, `GET ${path}`)).status, path).to.equal(200);
    } finally {
      await target.close();
    }
  });

  it('has no inline script or style, and no resource of another host', () => {
    for (const page of pages) {
      const html = read(page);
      expect(html, page).not.to.match(/<script(?! type="module" src="[^"]+"><\/script>)/);
      expect(html, page).not.to.match(/<style|<iframe|<[^>]* (?:style|on\w+)=/);
      for (const link of attributesOf(html, 'src')) expect(link, page).to.match(/^\/docs\//);
      for (const [, sheet] of html.matchAll(/<link rel="(?!icon)[^>]* href="([^"]+)"/g))
        expect(sheet, page).to.match(/^\/docs\/assets\/site\.[0-9a-f]{12}\.css$/);
    }
  });

  it('has one first-level heading, a title and a language on each page', () => {
    for (const page of pages) {
      expect(read(page).match(/<h1/g), page).to.have.length(1);
      expect(read(page), page)
        .to.match(/<html lang="en">/)
        .and.to.match(/<title>[^<]*Parley[^<]*<\/title>/);
    }
  });

  it('has compressed copies of each text', () => {
    for (const name of files.filter((each) => /\.(?:html|css|js|json|svg)$/.test(each))) {
      expect(brotliDecompressSync(readFileSync(`${folder}${name}.br`)).toString(), name).to.equal(read(name));
      expect(gunzipSync(readFileSync(`${folder}${name}.gz`)).toString(), name).to.equal(read(name));
    }
  });

  it('has every request, push, path, error and close code of the contract', () => {
    const html = read('protocol.html');
    const headings = Array.from(html.matchAll(/<h3 [^>]*><a [^>]*>(.*?)<\/a><\/h3>/g), ([, text]) => text);
    const methods = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(headings).to.include.members([
      ...Object.keys(requests),
      ...Object.keys(pushes).map((event) => `${event} (push)`),
      ...methods,
    ]);
    for (const code of Object.keys(errorCodes)) expect(html).to.include(`<code>${code}</code>`);
    for (const reason of ERROR_REASONS) expect(html).to.include(`<td><code>${reason}</code></td>`);
    for (const code of Object.keys(closeCodes)) expect(html).to.include(`<td>${code}</td>`);
    expect(html).not.to.include('undefined').and.not.to.include('[object');
  });

  it('has no cell of the contract that fills the screen of a phone', () => {
    for (const [, cell = ''] of read('protocol.html').matchAll(/<td[^>]*>(.*?)<\/td>/gs))
      expect(cell.replaceAll(/<[^>]+>/g, '').length, cell).to.be.at.most(500);
  });

  it('names pages of the build by what they are made of, which readers of the repository can open', () => {
    const folder = `${repository}/docs/`;
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.md')))
      for (const [, url] of readFileSync(folder + name, 'utf8').matchAll(/\]\(\/docs\/([^)#]+)/g))
        expect(url, `${name} links to a page of the server`).to.equal('rest');
    for (const { source } of outline.flatMap((part) => part.pages))
      expect(existsSync(`${repository}/${source}`), source).to.equal(true);
  });

  it('has the limits of each field of the contract', () => {
    const cells = Array.from(read('protocol.html').matchAll(/<td>(.*?)<\/td>/g), ([, cell]) => cell);
    for (const limits of [
      '<code>integer</code>, default 50, 1–200',
      '<code>string</code>, at most 8192 characters',
      '<code>string</code>, 8–256 characters',
      '<code>string</code>, pattern <code>^[A-Za-z0-9_.-]{3,32}$</code>',
      '<code>[string (uuid)]</code>, 1–100 items',
      '<code>[integer]</code>, each at least 1',
    ])
      expect(cells).to.include(limits);
  });

  it('has every export of the client', () => {
    for (const name of Object.keys(client))
      expect(read('reference.html')).to.include(`id="${name.toLowerCase()}"`);
  });

  it('has a text description of each picture', () => {
    const pictures = files.filter((name) => name.endsWith('.svg'));
    expect(pictures).to.have.length.above(2);
    for (const name of pictures) expect(read(name), name).to.match(/role="img" aria-labelledby="title desc"/);
    for (const page of pages)
      for (const [image] of read(page).matchAll(/<img [^>]*>/g)) expect(image).to.match(/alt="[^"]{20,}"/);
  });
});

describe('The search index', () => {
  const [index = ''] = files.filter((name) => /^assets\/search\.[0-9a-f]{12}\.json$/.test(name));
  const search = MiniSearch.loadJSON<Indexed>(read(index), searchOptions);

  const sections = new Set(search.search(MiniSearch.wildcard).map(({ url }) => url));

  it('has every section of every page, at a URL that exists', () => {
    for (const page of pages) {
      const html = read(page);
      const url = `/docs/${page.replace(/(?:\/?index)?\.html$/, '')}`.replace(/\/$/, '');
      const [, ...ids] = Array.from(html.matchAll(/<h[1-3] id="([^"]+)"/g), ([, id]) => `${url}#${id}`);
      for (const section of [url, ...ids]) expect(sections.has(section), section).to.equal(true);
    }
  });

  it('finds a section by words of its heading and of its text, and a name by its parts', () => {
    const first = (query: string): unknown => search.search(query)[0]?.url;
    expect(first('rotate the signing key')).to.equal('/docs/audit#rotating-the-signing-key');
    expect(first('ParleyDiskFull')).to.equal('/docs/incidents#parleydiskfull');
    expect(first('parley disk full')).to.equal('/docs/incidents#parleydiskfull');
    expect(first('session ttl')).to.equal('/docs/readme#settings');
    expect(first('maximum message length')).to.equal('/docs/limits#messages');
    expect(first('user name rules')).to.equal('/docs/limits#names-and-passwords');
    expect(first('append seconds')).to.equal('/docs/operations#metrics');
  });

  it('has the text as readers see it', () => {
    const heading = '<h1 id="a"><a href="#a">A <code>b</code></a></h1>';
    const row = '<tr>\n<td><code>X</code></td>\n<td>y</td>\n</tr>';
    const html = `${heading}\n<p>c&lt;<em>d</em>&#x27;&#39;&amp;lt;</p><ul><li>e</li><li>f</li></ul><table>${row}</table>`;
    expect(sectionsOf({ url: '/docs/a', name: 'A', html })).to.deep.equal([
      { url: '/docs/a', page: 'A', heading: 'A b', text: "c<d''&lt; e f" },
      { url: '/docs/a', page: 'A', heading: 'X', text: 'y' },
    ]);
  });
});

describe('A link of the documentation', () => {
  const link = linksOf(
    'docs/guide/a.md',
    [{ source: 'docs/b.md', url: '/docs/b', name: 'B' }],
    new Set(['x.svg']),
  );

  it('leads to the page of its file', () => {
    expect(
      ['../b.md', '../b.md#c', '../x.svg', '#d', 'https://a.example/', '/audit'].map(link),
    ).to.deep.equal(['/docs/b', '/docs/b#c', '/docs/x.svg', '#d', 'https://a.example/', '/audit']);
  });

  it('to a missing file fails the build with its name', () => {
    expect(() => link('../c.md')).to.throw('docs/guide/a.md links to ../c.md');
    expect(() => render('# A\n\n[c](c.md)', link)).to.throw('c.md');
  });

  it('to a missing page or heading fails the build', () => {
    const check = (html: string) => () =>
      checkLinks(new Map([['/docs/a', `<p id="here">${html}`]]), new Set());
    expect(check('<a href="#here">')).not.to.throw();
    expect(check('<a href="/docs/a#here">')).not.to.throw();
    expect(check('<a href="#gone">')).to.throw('/docs/a links to #gone');
    expect(check('<a href="/docs/a#gone">')).to.throw('#gone');
    expect(check('<img src="/docs/gone.svg">')).to.throw('/docs/gone.svg');
  });
});

describe('The reference', () => {
  const text = (excerpt: string) => ({ excerptTokens: [{ text: excerpt }] });
  const comment = '/**\n * Asks {@link Other}.\n *\n * @param q - what for\n * @throws never\n */\n';

  it('shows a complete type with the comments of its members, and without its schema', () => {
    const markdown = referenceOf([
      {
        name: 'parley/x',
        items: [
          {
            kind: 'Interface',
            name: 'A',
            docComment: '/**\n * One of them.\n */\n',
            ...text('export interface A '),
            members: [
              { kind: 'MethodSignature', name: 'ask', docComment: comment, ...text('ask(q: string): void;') },
            ],
          },
          { kind: 'Variable', name: 'B', ...text('B: z.ZodObject<{}>') },
          { kind: 'TypeAlias', name: 'B', ...text('export type B = z.infer<typeof B>;') },
        ],
      },
    ]);
    expect(markdown).to.include('### A\n\nOne of them.\n\n```ts\ninterface A {\n  /**\n   * Asks `Other`.\n');
    expect(markdown).to.include('   * `q`: what for\n   * Throws never\n   */\n  ask(q: string): void;\n}');
    expect(markdown).to.include('### B\n\n\n\nA [shape of the contract](/docs/protocol#b).');
    expect(markdown).not.to.include('ZodObject');
  });
});

describe('Markdown', () => {
  it('becomes HTML that the content security policy allows', () => {
    const { title, html } = render(
      '# A `b`\n\n<b style="x">c</b>\n\n| d |\n| --: |\n| 1 |\n',
      (href) => href,
    );
    expect(title).to.equal('A b');
    expect(html).to.include('&lt;b style').and.to.include('<td class="to-right">');
    expect(html).not.to.match(/<[^>]* style=/);
  });

  it('has headings with anchors, also for two equal headings', () => {
    const { html } = render('# When `/ready` is red\n\n## A b\n\n## A b\n', (href) => href);
    for (const id of ['when-ready-is-red', 'a-b', 'a-b-1']) expect(html).to.include(`id="${id}"`);
  });

  it('has code that is coloured by classes', () => {
    const { html } = render('```ts\nconst a = 1; // <b>\n```\n', (href) => href);
    expect(html).to.include('<span class="hljs-keyword">const</span>').and.to.include('&lt;b&gt;');
  });
});

const attributesOf = (html: string, names: string): string[] =>
  Array.from(html.matchAll(new RegExp(`<[^>]* (?:${names})="([^"]*)"`, 'g')), ([, value = '']) => value);
