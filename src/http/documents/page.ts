import type { Json } from './components.js';

/** The pages' text: generated, without a script but Swagger UI's, and with nothing from another host. */

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: unknown): string => String(text).replace(/[&<>"']/g, (char) => escapes[char] ?? char);
/** The little of Markdown that the documents use: paragraphs, lists of one level, code. */
const markdown = (text: unknown): string =>
  escaped(text)
    .split('\n\n')
    .map((block) =>
      block.startsWith('- ') ? `<ul>${block.replace(/^- (.*)$/gm, '<li>$1</li>')}</ul>` : `<p>${block}</p>`,
    )
    .join('\n')
    .replace(/`([^`]+)`/g, '<code>$1</code>');

const page = (title: string, head: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/page.css">
${head}</head>
<body>
${body}
</body>
</html>
`;

export const home = page(
  'Parley',
  '',
  `<main>
<h1>Parley</h1>
<p>A private-messaging server: every change is an immutable event in an append-only log, and everything a person
sees is a projection of it.</p>
<ul>
<li><a href="/docs">The contract</a>: REST and WebSocket</li>
<li><a href="/openapi.json">OpenAPI 3.1</a> and <a href="/asyncapi.json">AsyncAPI 3.0</a>, for machines</li>
<li><a href="/ready">Is this server ready?</a></li>
</ul>
</main>`,
);

export const css = `:root { color-scheme: light; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; }
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem; }
a { color: #1a56c4; }
header code, main code { font: 0.875em ui-monospace, monospace; background: #eef1f5; padding: 0.1em 0.3em; border-radius: 3px; }
table { border-collapse: collapse; width: 100%; margin: 0.25rem 0 1rem; font-size: 0.9rem; }
td p { margin: 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem; border-bottom: 1px solid #dde2e9; }
details { border: 1px solid #dde2e9; border-radius: 6px; margin: 0.5rem 0; padding: 0.5rem 0.9rem; }
summary { cursor: pointer; }
summary b { font: 600 0.95em ui-monospace, monospace; margin-right: 0.6em; }
`;

export const script = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#rest',
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
});
`;

// The documents are made here, so that their shape is known; these read it without repeating it as types.
const at = (json: unknown, ...path: string[]): Json =>
  path.reduce((value, name) => (value as Json)[name] as Json, json as Json);
const list = (json: unknown): Json[] => (json ?? []) as Json[];
const lastOf = (ref: unknown): string => String(ref).split('/').at(-1) ?? '';

/** A schema in a few words: `[Chat]`, `string (uuid)`, `integer ≥ 1`. */
function typeOf(schema: Json): string {
  if (schema.$ref !== undefined) return lastOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return list(either).map(typeOf).join(' or ');
  if (schema.type === 'array') return `[${typeOf(at(schema, 'items'))}]`;
  if (schema.properties !== undefined) {
    const required = new Set(list(schema.required).map(String));
    const fields = Object.entries(at(schema, 'properties')).map(
      ([name, field]) => `${name}${required.has(name) ? '' : '?'}: ${typeOf(field as Json)}`, // Properties are schemas.
    );
    return `{${fields.join(', ')}}`;
  }
  if (typeof schema.additionalProperties === 'object')
    return `{…: ${typeOf(at(schema, 'additionalProperties'))}}`;
  if (schema.type === 'object') return '{}';
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : String(schema.type);
  return schema.format === undefined ? type : `${type} (${schema.format})`;
}

function fieldsOf(schema: Json): string {
  const required = new Set(list(schema.required).map(String));
  const rows = Object.entries(at(schema, 'properties')).map(([name, value]) => {
    const field = value as Json; // Properties are schemas.
    const note = field.description === undefined ? '' : markdown(field.description);
    const type = `<code>${escaped(typeOf(field))}</code>${field.default === undefined ? '' : `, else ${escaped(field.default)}`}`;
    return `<tr><td><code>${escaped(name)}</code>${required.has(name) ? '' : ' (optional)'}</td><td>${type}</td><td>${note}</td></tr>`;
  });
  if (rows.length === 0) return '<p>No fields.</p>';
  return `<table><thead><tr><th>Field</th><th>Type</th><th></th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

function operation(document: Json, json: Json): string {
  const data = (ref: Json): Json =>
    at(document, 'components', 'messages', lastOf(ref.$ref), 'payload', 'properties', 'data');
  const [sent] = list(json.messages);
  const [answered] = list(json.reply === undefined ? [] : at(json, 'reply').messages);
  const what = json.action === 'receive' ? 'data' : 'data that is pushed';
  return `<details><summary><b>${escaped(json.summary)}</b></summary>
${markdown(json.description)}
${sent ? `<h4>${what}</h4>${fieldsOf(data(sent))}` : ''}
${answered ? `<h4>answer</h4>${fieldsOf(data(answered))}` : ''}
</details>`;
}

/** Both documents on one page: Swagger UI for REST, and the socket's below it, which needs no script. */
export function docs(asyncApi: Json): string {
  const operations = Object.values(at(asyncApi, 'operations')) as Json[]; // Operations are objects.
  const of = (action: string): string =>
    operations
      .filter((json) => json.action === action)
      .map((json) => operation(asyncApi, json))
      .join('\n');
  const schemas = Object.entries(at(asyncApi, 'components', 'schemas')).map(
    ([name, schema]) =>
      `<details><summary><b>${escaped(name)}</b></summary>${fieldsOf(schema as Json)}</details>`, // As above.
  );
  return page(
    'Parley: the contract',
    `<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/page.js" defer></script>
`,
    `<header><h1>Parley: the contract</h1>
<p><a href="#rest">REST</a> (<a href="/openapi.json">openapi.json</a>),
<a href="#socket">WebSocket</a> (<a href="/asyncapi.json">asyncapi.json</a>)</p></header>
<div id="rest"></div>
<main id="socket"><h2>WebSocket: <code>GET /ws</code></h2>
${markdown(at(asyncApi, 'info').description)}
<h3>Requests</h3>
${of('receive')}
<h3>Pushes</h3>
${of('send')}
<h3>Shapes</h3>
${schemas.join('\n')}
</main>`,
  );
}
