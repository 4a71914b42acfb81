// The server of an application with its own sign-in: serves its page, and gets tokens of Parley for its users.
// PARLEY_KEY is from `npx parley key add app --scopes users`.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const { PARLEY_URL = 'http://127.0.0.1:3000', PARLEY_KEY, PORT = '4000' } = process.env;
async function ask(method, path, body) {
  const headers = { authorization: `Bearer ${PARLEY_KEY}`, 'content-type': 'application/json' };
  const response = await fetch(`${PARLEY_URL}/server${path}`, {
    method,
    headers,
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
  return response.json();
}

/** Put your sign-in here. This one believes a cookie: `user` is your own id of the user. */
const userOf = ({ headers }) => /(?:^|; )user=(\w+)/.exec(headers.cookie ?? '')?.[1];

/** Creates the user at the first time. The token ends soon: a page asks for the next one before that. */
async function tokenOf(id) {
  await ask('PUT', `/users/ext:${id}`, { displayName: `User ${id}` });
  return ask('POST', `/users/ext:${id}/tokens`, { ttl: '15m' });
}

const page = await readFile(new URL('index.html', import.meta.url));
const client = await readFile(fileURLToPath(import.meta.resolve('@parley/client')));
const answer = (response, status, type, body) =>
  response.writeHead(status, { 'content-type': type }).end(body);
createServer(async (request, response) => {
  const id = userOf(request);
  if (request.url === '/') return answer(response, 200, 'text/html', page);
  if (request.url === '/parley-client.js') return answer(response, 200, 'text/javascript', client);
  if (request.method !== 'POST' || request.url !== '/token') return answer(response, 404, 'text/plain', '');
  if (id === undefined) return answer(response, 401, 'text/plain', '');
  const token = await tokenOf(id).catch(console.error);
  return answer(response, token ? 200 : 503, 'application/json', JSON.stringify(token ?? {}));
}).listen(Number(PORT), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${PORT}`));
