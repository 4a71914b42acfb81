import { asyncApi } from '../src/http/documents/asyncapi.js';
import { closeCodes, errorCodes, type Json } from '../src/http/documents/contractParts.js';
import { slug } from './anchors.js';
import { restReference } from './rest.js';
import { at, fieldsOf, lastOf, list } from './schemas.js';

/** The contract as Markdown, from the same schemas that validate: what they say, and nothing by hand beside it. */
export function protocol(): string {
  const socket = asyncApi();
  const operations = Object.values(at(socket, 'operations')) as Json[]; // Operations are objects.
  const requests = operations.filter(({ action }) => action === 'receive');
  const pushes = operations.filter(({ action }) => action === 'send');
  return `# The contract

Made from the schemas that the server validates with. For machines it is [openapi.json](/openapi.json) (OpenAPI 3.1)
and [asyncapi.json](/asyncapi.json) (AsyncAPI 3.0). [Try the REST side](/docs/rest) in the page.

## The socket

\`GET /ws\`, text frames. One JSON object a frame. A client sends requests, each is answered; the server pushes.

| direction | frame |
| --- | --- |
| request | \`{"id": 7, "event": "send message", "data": {…}}\` |
| answer | \`{"id": 7, "event": "send message", "data": {…}}\`, or \`error\` in place of \`data\` |
| push | \`{"event": "send message", "data": {…}, "cursor": "…"}\`; what is not stored has no \`cursor\` |

Answers may come out of order. Requests on one room take effect in the order sent. Every command may be repeated.
\`identity\` is the first request of a connection, within 10 s.

## Requests

${links(requests, '')}

${requests.map((each) => operation(socket, each)).join('\n')}
## Pushes

${links(pushes, ' (push)')}

${pushes.map((each) => operation(socket, each)).join('\n')}
## REST

${restReference()}
## Shapes

${shapes(socket)}
## Errors

${table(
  'code | HTTP | meaning',
  Object.entries(errorCodes).map(([code, { http, meaning }]) => `\`${code}\` | ${http} | ${meaning}`),
)}
## Close codes

${table(
  'code | meaning',
  Object.entries(closeCodes).map(([code, meaning]) => `${code} | ${meaning}`),
)}`;
}

const links = (operations: readonly Json[], suffix: string): string =>
  operations.map(({ summary }) => `[${summary}](#${slug(`${summary}${suffix}`)})`).join(' · ');

const table = (head: string, rows: readonly string[]): string =>
  `| ${head} |\n|${' --- |'.repeat(head.split('|').length)}\n${rows.map((each) => `| ${each} |`).join('\n')}\n`;

function operation(document: Json, json: Json): string {
  const data = (ref: Json): Json =>
    at(document, 'components', 'messages', lastOf(ref.$ref), 'payload', 'properties', 'data');
  const [sent] = list(json.messages);
  const [answered] = json.reply === undefined ? [] : list(at(json, 'reply').messages);
  const isPush = json.action === 'send';
  const parts = [`### ${json.summary}${isPush ? ' (push)' : ''}`, String(json.description ?? '')];
  if (sent) parts.push(isPush ? 'Pushed:' : 'Asked with:', fieldsOf(data(sent)));
  if (answered) parts.push('Answered with:', fieldsOf(data(answered)));
  return `${parts.join('\n\n')}\n`;
}

const shapes = (document: Json): string =>
  Object.entries(at(document, 'components', 'schemas'))
    .map(([name, schema]) => `### ${name}\n\n${fieldsOf(schema as Json)}`) // They are schemas.
    .join('\n');
