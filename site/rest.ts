import { openApi } from '../src/http/documents/documents.js';
import type { Json } from '../src/http/schemas.js';
import { at, fieldsOf, fieldTable, list, row, typeOf } from './schemas.js';

/** Returns every path and method of the REST side as Markdown, each with a heading. */
export function restReference(): string {
  const document = openApi();
  const operations = Object.entries(at(document, 'paths')).flatMap(
    ([path, methods]) =>
      Object.entries(methods as Json).map(([method, json]) => operation(method, path, json as Json)), // Operations are objects.
  );
  return `${at(document, 'info').description}\n\n${operations.join('\n')}`;
}

function operation(method: string, path: string, json: Json): string {
  const isOpen = list(json.security).length === 0 && json.security !== undefined;
  const parts = [
    `### ${method.toUpperCase()} ${path}`,
    `${json.description}${isOpen ? ' This request needs no sign-in.' : ''}`,
  ];
  const parameters = list(json.parameters).map((each) =>
    row(String(each.name), each.required === true, at(each, 'schema'), each.description),
  );
  if (parameters.length > 0) parts.push('Parameters:', fieldTable(parameters));
  if (json.requestBody !== undefined) {
    const [[type, body] = []] = Object.entries(at(json, 'requestBody', 'content'));
    const name = type === 'application/json' ? 'Body:' : `Body (\`${type}\`):`;
    parts.push(name, fieldsOf(at(body, 'schema')));
  }
  for (const [status, response] of Object.entries(at(json, 'responses')))
    if (Number(status) < 300) parts.push(answer(status, response as Json)); // Responses are objects.
  const errors = Object.keys(at(json, 'responses')).filter((status) => Number(status) >= 400);
  parts.push(`Errors: ${errors.join(', ')}.`);
  return `${parts.join('\n\n')}\n`;
}

function answer(status: string, response: Json): string {
  const [content] = Object.entries((response.content ?? {}) as Json); // `content` is an object if present.
  if (content === undefined) return `Answer: ${status}, without a body.`;
  const [type, body] = content;
  const schema = at(body, 'schema');
  if (schema.properties !== undefined) return `Answer: ${status}.\n\n${fieldsOf(schema)}`;
  return `Answer: ${status}, \`${type}\`${schema.type === undefined ? `: \`${typeOf(schema)}\`` : ''}.`;
}
