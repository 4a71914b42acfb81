import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HOME, PLACES } from './layout.js';

/** The page `/docs/rest`: Swagger UI, whose every file comes from this server. Without inline scripts, which the policy of pages forbids. */
const PAGE = `<!doctype html>
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
<header>
${HOME}
${PLACES}
</header>
<main>
<div class="about"><h1>Try the REST side</h1>
<p><a href="/docs/protocol">The contract</a> says what each answer means, and what travels over the socket;
<a href="/openapi.json">openapi.json</a> is this page for machines.</p></div>
<div id="rest"></div>
</main>
</body>
</html>
`;

const CSS = `:root { color-scheme: light dark; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; }
header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; align-items: center; padding: 0.5rem 1rem; border-bottom: 1px solid #d5dbe4; }
header a { padding: 0.25rem 0; text-decoration: none; }
header a:hover { text-decoration: underline; }
.home { margin-right: auto; font-weight: 700; font-size: 1.15rem; }
a { color: #1a56c4; }
a.home { color: #1c2430; }
@media (prefers-color-scheme: dark) {
  body { color: #e6eaf0; background: #1c2022; }
  header { border-color: #3a4250; }
  a { color: #8ab0ff; }
  a.home { color: #e6eaf0; }
}
/* As wide as the boxes of Swagger UI below it. */
.about { box-sizing: border-box; max-width: 1460px; margin: 0 auto; padding: 0.5rem 20px 0; }
`;

/** Swagger UI is dark where its document has this class. */
const SCRIPT = `const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
follow();
dark.addEventListener('change', follow);
fetch('/openapi.json')
  .then((answer) => answer.json())
  .then((spec) =>
    SwaggerUIBundle({
      spec,
      dom_id: '#rest',
      deepLinking: true,
      validatorUrl: null,
      queryConfigEnabled: false,
    }),
  );
`;

const installed = (url: string): Buffer => readFileSync(fileURLToPath(url));

/** Returns the files of the page on which readers try REST requests, by name below `docs/`. */
export const tryRest = (): ReadonlyMap<string, string | Buffer> =>
  new Map<string, string | Buffer>([
    ['rest/index.html', PAGE],
    ['rest/page.css', CSS],
    ['rest/page.js', SCRIPT],
    ['rest/swagger-ui.css', installed(import.meta.resolve('swagger-ui-dist/swagger-ui.css'))],
    ['rest/swagger-ui-bundle.js', installed(import.meta.resolve('swagger-ui-dist/swagger-ui-bundle.js'))],
  ]);
