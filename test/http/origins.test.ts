import { expect } from 'chai';
import { ask, type FakeTarget, type Reply, startHttp } from '../support/http.js';

const PARTNER = 'https://partner.example';
const USER = '00000000-0000-4000-8000-000000000000';

describe('REST for pages of other origins', () => {
  let target: FakeTarget;
  before(async () => {
    target = await startHttp(() => ({ allowedOrigins: [PARTNER, 'capacitor://localhost'] }));
  });
  after(() => target.close());

  const from = (origin: string, what: string, headers: Record<string, string> = {}): Promise<Reply> =>
    ask(target.url, what, { headers: { origin, ...headers } });
  const sharedWith = ({ headers }: Reply): string | null => headers.get('access-control-allow-origin');
  const everyKind = [
    'GET /health',
    'GET /openapi.json',
    'GET /',
    'GET /nothing',
    'POST /health',
    `GET /user/${USER}`,
    'GET /audit/events',
    'POST /user/signin',
  ];

  it('lets pages of allowed origins read every answer, errors too', async () => {
    for (const what of everyKind)
      for (const origin of [PARTNER, 'capacitor://localhost', target.url])
        expect(sharedWith(await from(origin, what)), `${what} from ${origin}`).to.equal(origin);
  });

  it('lets no other page read anything', async () => {
    for (const what of everyKind)
      for (const origin of ['https://elsewhere.example', 'http://partner.example', 'null'])
        expect(sharedWith(await from(origin, what)), `${what} from ${origin}`).to.equal(null);
  });

  it('tells caches that each answer depends on the origin, also where none is given', async () => {
    for (const what of everyKind)
      for (const reply of [await from(PARTNER, what), await ask(target.url, what)])
        expect(reply.headers.get('vary'), what).to.match(/(^|, )Origin(,|$)/);
  });

  it('lets such a page see when it may try again', async () => {
    const { headers } = await from(PARTNER, 'GET /health');
    expect(headers.get('access-control-expose-headers')?.split(', ')).to.include('Retry-After');
    expect(headers.get('access-control-allow-credentials')).to.equal(null);
  });

  it('answers a preflight of a path without a resource like any request of it', async () => {
    for (const path of ['/nothing', `/user/${USER}/nothing`]) {
      const reply = await from(PARTNER, `OPTIONS ${path}`, { 'access-control-request-method': 'GET' });
      expect(reply.status, path).to.equal(404);
      expect(sharedWith(reply), path).to.equal(PARTNER);
      expect(reply.headers.get('access-control-allow-methods'), path).to.equal(null);
    }
  });

  it('answers a preflight without a token, with the methods of the resource', async () => {
    const asks = {
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'authorization,content-type',
    };
    for (const path of [`/user/${USER}`, '/audit/events', '/user/signin', '/user/']) {
      const { status, headers } = await from(PARTNER, `OPTIONS ${path}`, asks);
      expect(status, path).to.equal(204);
      expect(headers.get('access-control-allow-methods'), path).to.equal(headers.get('allow'));
      expect(headers.get('access-control-allow-headers'), path).to.match(/authorization, content-type/i);
    }
    const { headers } = await from(PARTNER, `OPTIONS /user/${USER}`, asks);
    expect(headers.get('access-control-allow-methods')?.split(', ')).to.include('DELETE');
    const refused = await from('https://elsewhere.example', `OPTIONS /user/${USER}`, asks);
    expect(refused.headers.get('access-control-allow-methods')).to.equal(null);
  });
});
