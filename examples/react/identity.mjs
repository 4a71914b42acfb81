// The application's own server: it serves the page and says who somebody is. This one believes any name.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const port = Number(process.env.PORT ?? 4000);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey, publicKey } = await generateKeyPair('ES256');
const key = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };

const answers = {
  '/.well-known/openid-configuration': async () => JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }),
  '/keys': async () => JSON.stringify({ keys: [key] }),
  '/token': async ({ searchParams }) =>
    new SignJWT({ preferred_username: searchParams.get('name') })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(issuer)
      .setAudience('parley')
      .setSubject(searchParams.get('name'))
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey),
};

createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const page = url.pathname === '/' ? '/index.html' : url.pathname;
  const read = () => readFile(new URL(`dist${page}`, import.meta.url));
  const body = await (answers[url.pathname] ?? read)(url).catch(() => undefined);
  const type = page.endsWith('.js') ? 'text/javascript' : page.endsWith('.html') ? 'text/html' : 'text/plain';
  response.writeHead(body ? 200 : 404, { 'content-type': type }).end(body);
}).listen(port, '127.0.0.1', () => console.log(`listening on ${issuer}`));
