import { PING_AFTER_MS, PONG_WAIT_MS } from '../src/domain/limits.js';
import { closeCodes } from '../src/gateway/protocol.js';
import { asyncApi } from '../src/http/documents/asyncapi.js';
import { errorCodes, errorReasons, type Json } from '../src/http/schemas.js';
import { slug } from './anchors.js';
import { restReference } from './rest.js';
import { at, fieldsOf, lastOf, list } from './schemas.js';

/** Returns the contract as Markdown, generated from the validation schemas. */
export function protocol(): string {
  const socket = asyncApi();
  const operations = Object.values(at(socket, 'operations')) as Json[]; // Operations are objects.
  const requests = operations.filter(({ action }) => action === 'receive');
  const pushes = operations.filter(({ action }) => action === 'send');
  return `# The contract

This page is generated from the validation schemas of the server. Programs can read [openapi.json](/openapi.json)
(OpenAPI 3.1) and [asyncapi.json](/asyncapi.json) (AsyncAPI 3.0). You can [try the REST side](/docs/rest) in the
browser.

## The socket

\`GET /ws\` opens the socket. Each text frame contains one JSON object. A client sends requests, and the server answers
each of them. The server also sends pushes.

| direction | frame |
| --- | --- |
| request | \`{"id": 7, "event": "send message", "data": {…}}\` |
| answer | \`{"id": 7, "event": "send message", "data": {…}}\`, or \`error\` in place of \`data\` |
| push | \`{"event": "send message", "data": {…}, "cursor": "…"}\`; a push that is not stored has no \`cursor\` |

Answers may arrive in another order than their requests. Requests on one room take effect in the order in which they
were sent. Every command may be repeated. The first request of a connection is \`identity\`, within 10 s.

## A client of your own

- **Sign in.** \`POST /user/signin\` returns a token. Send it in \`identity\`. A client outside of a browser may send it at the
  upgrade instead, as \`Authorization: Bearer …\`. If the answer to \`identity\` is an error, the connection stays open: send
  \`identity\` again, with another token or without the cursor.
- **Requests.** You choose the \`id\` of each request, and the \`messageId\` of each message. If the connection ends before the
  answer, send the request again on the next one, with the same ids in its data. An error without \`id\` is about a frame in
  which the server found no \`id\`.
- **Pushes.** Handle a push and then store its \`cursor\`. A message that you send is in the answer, and not pushed to the same
  connection. Ignore pushes and fields that you do not know.
- **Resume.** Connect again after each close, with waits that grow and have a random part; after 4401, sign in first. Send
  the last cursor in \`identity\`. The answer is followed by the missed pushes and then by \`identity {caughtUp: true}\`. A
  missed message that was changed since comes once, as it is now. An older message that was changed comes in one push
  \`edit message\` with all changes, or in \`delete message\`.
- **Silence.** The server pings a connection that was silent for ${PING_AFTER_MS / 1000} s, and closes it if nothing comes for ${PONG_WAIT_MS / 1000} s more. Browsers
  and libraries answer pings by themselves.

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
## Reasons

An error may have a \`reason\` beside its code: one of these words. Make a text of it in the language of the user.

${table(
  'reason | code, meaning, and what to do',
  Object.entries(errorReasons).map(([reason, meaning]) => `\`${reason}\` | ${meaning}`),
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
  if (sent) parts.push(isPush ? 'Push data:' : 'Request data:', fieldsOf(data(sent)));
  if (answered) parts.push('Answer data:', fieldsOf(data(answered)));
  return `${parts.join('\n\n')}\n`;
}

const shapes = (document: Json): string =>
  Object.entries(at(document, 'components', 'schemas'))
    .map(([name, schema]) => `### ${name}\n\n${fieldsOf(schema as Json)}`) // Shapes are schemas.
    .join('\n');
