import { escaped, type Text } from './markdown.js';
import type { PageOf, Part } from './outline.js';

/** The navigation around the text of a page. */
export interface Frame {
  readonly outline: readonly Part[];
  readonly page: PageOf;
  readonly previous: PageOf | undefined;
  readonly next: PageOf | undefined;
  /** URLs of the style sheet, of the script of the search and of its index. */
  readonly files: { readonly style: string; readonly script: string; readonly index: string };
}

/** The links at the top of every page. */
export const HOME = '<a class="home" href="/docs">Parley</a>';
export const PLACES = `<a href="/docs/protocol">Contract</a>
<a href="/">Chat</a>
<a href="/audit">Audit console</a>`;

/** Returns a complete page. The page has no inline script or style and no resource of another host. */
export function layout({ title, html }: Text, frame: Frame): string {
  const { page, previous, next, files } = frame;
  const whole = page.url === '/docs' ? 'Parley: documentation' : `${escaped(title)} · Parley`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${escaped(title)}: documentation of Parley, a private-messaging server.">
<title>${whole}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${files.style}">
<script type="module" src="${files.script}"></script>
</head>
<body>
<a class="skip" href="#text">Skip to the text</a>
<header>
${HOME}
<div class="search" role="search" data-index="${files.index}" hidden>
<input type="search" aria-label="Search the documentation" placeholder="Search (press /)" autocomplete="off" spellcheck="false">
<div class="results" hidden><p role="status"></p><ol></ol></div>
</div>
${PLACES}
</header>
<details class="menu"><summary>All pages</summary>
<nav aria-label="All pages">${navigation(frame)}</nav></details>
<nav class="side" aria-label="Pages">${navigation(frame)}</nav>
<main id="text">
${html.replace('</h1>\n', `</h1>\n${contents(html)}`)}
</main>
<footer><nav aria-label="Previous and next page">
${previous ? `<a rel="prev" href="${previous.url}"><span>Previous</span> ${escaped(previous.name)}</a>` : '<span></span>'}
${next ? `<a rel="next" href="${next.url}"><span>Next</span> ${escaped(next.name)}</a>` : '<span></span>'}
</nav></footer>
</body>
</html>
`;
}

const navigation = ({ outline, page }: Frame): string =>
  outline
    .map(({ heading, pages }) => {
      const items = pages.map(({ url, name }) => {
        const here = url === page.url ? ' aria-current="page"' : '';
        return `<li><a href="${url}"${here}>${escaped(name)}</a></li>`;
      });
      return `<p>${heading}</p><ul>${items.join('')}</ul>`;
    })
    .join('\n');

/** Returns links to the sections of a text. The result is empty if it has fewer than three. */
function contents(text: string): string {
  const sections = [...text.matchAll(/<h2 id="([^"]+)"><a [^>]*>(.*?)<\/a><\/h2>/g)];
  if (sections.length < 3) return '';
  const items = sections.map(([, id, heading]) => `<li><a href="#${id}">${heading}</a></li>`);
  return `<nav class="contents" aria-label="On this page"><p>On this page</p><ul>${items.join('')}</ul></nav>\n`;
}
