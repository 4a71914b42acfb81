import type { AddressInfo } from 'node:net';
import Router from '@koa/router';
import { expect } from 'chai';
import Koa from 'koa';
import { pino } from 'pino';
import { createHttpServer } from '../../src/http/app.js';
import { serveResource } from '../../src/http/auth.js';
import { respondToErrors } from '../../src/http/problems.js';
import { requireKey } from '../../src/http/server/serverAuth.js';
import type { ServerKey } from '../../src/vault/serverKeys.js';
import { ask } from '../support/http.js';

describe('a resource for the host application', () => {
  const keys = new Map<string, ServerKey>();
  const addKey = (secret: string, scopes: ServerKey['scopes']) =>
    keys.set(secret, { id: secret, name: secret, scopes, createdAt: '2026-01-01T00:00:00.000Z' });
  let now = 0;
  let server: ReturnType<typeof createHttpServer>;
  let url = '';
  before(async () => {
    const router = new Router();
    const required = requireKey({ find: async (secret) => keys.get(secret) }, () => now);
    serveResource(router, '/rooms', {
      GET: required('rooms', async (ctx, { id }) => {
        ctx.body = { id };
      }),
    });
    const app = new Koa();
    app.use(respondToErrors(pino({ level: 'silent' })));
    app.use(router.routes());
    server = createHttpServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // It listens on TCP.
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const get = (token?: string) => ask(url, 'GET /rooms', token === undefined ? {} : { token });

  it('answers a key with its scope, others with 403, and whoever has none with 401', async () => {
    addKey('mine', ['rooms', 'events']);
    addKey('other', ['users', 'messages', 'events']);
    expect((await get('mine')).body).to.deep.equal({ id: 'mine' });
    const statuses = [await get('other'), await get('unknown'), await get()].map(({ status }) => status);
    expect(statuses).to.deep.equal([403, 401, 401]);
  });

  it('refuses a revoked key from then on', async () => {
    addKey('gone', ['rooms']);
    expect((await get('gone')).status).to.equal(200);
    keys.delete('gone');
    expect((await get('gone')).status).to.equal(401);
  });

  it('takes 500 requests of a key at once, and 100 a second; other keys are not held up', async () => {
    addKey('busy', ['rooms']);
    addKey('calm', ['rooms']);
    for (let n = 0; n < 500; n++) expect((await get('busy')).status).to.equal(200);
    const refused = await get('busy');
    expect([refused.status, refused.body.code, refused.body.retryAfterMs]).to.deep.equal([
      429,
      'rate_limited',
      10,
    ]);
    expect((await get('calm')).status).to.equal(200);
    now += 1000;
    for (let n = 0; n < 100; n++) expect((await get('busy')).status).to.equal(200);
    expect((await get('busy')).status).to.equal(429);
  });
});
