import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { ask, type FakeTarget, type Reply, startHttp } from '../support/http.js';

interface Route {
  readonly method: string;
  /** As in `/openapi.json`. */
  readonly path: string;
  readonly isOpen: boolean;
}

/** A request that is wrong in all that follows on the question of who asks: ids, parameters and body. */
const wrong = ({ method, path }: Route): string =>
  `${method} ${path.replace(/\{\w+\}/g, 'nonsense').replace(/\/$/, '')}?nonsense=1&nonsense=2`;
const body = (method: string) => (method === 'GET' ? {} : { raw: 'nonsense' });

/** Of these, only oneself may ask. */
const OWN = /^(?:DELETE \/user\/\{userId\}|GET \/user\/\{userId\}\/export)$/;

/** Of these, only who has a role may ask. */
const OF_A_ROLE = /^\/(?:audit|admin)\//;
/** These do not exist without an issuer. */
const OF_AN_ISSUER = /^\/oidc\//;
/** Of these, only who has a server key may ask. */
const OF_A_KEY = /^\/server\//;

describe('every route', () => {
  let target: FakeTarget;
  let routes: Route[];
  let me: { readonly userId: string; readonly token: string };
  before(async () => {
    target = await startHttp();
    const { paths } = (await ask(target.url, 'GET /openapi.json')).body;
    routes = Object.entries<Record<string, { security?: unknown[] }>>(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { security }]) => ({
        method: method.toUpperCase(),
        path,
        isOpen: security?.length === 0,
      })),
    );
    const json = { username: 'ada.lovelace', password: 'a mild autumn evening' };
    const { user } = (await ask(target.url, 'POST /user/', { json })).body;
    me = { userId: user.userId, token: (await ask(target.url, 'POST /user/signin', { json })).body.token };
  });
  after(() => target.close());

  const asked = (route: Route, token?: string): Promise<Reply> =>
    ask(target.url, wrong(route), { token, ...body(route.method) });

  it('is found by this test', () => {
    expect(routes).to.have.length.above(20);
    expect(routes.filter(({ isOpen }) => !isOpen)).to.have.length.above(10);
  });

  it('that needs a session is 401 without one, whatever else is wrong', async () => {
    for (const route of routes.filter(({ isOpen, path }) => !isOpen && !OF_AN_ISSUER.test(path)))
      for (const token of [undefined, 'x'.repeat(43)])
        expect((await asked(route, token)).status, `${route.method} ${route.path}`).to.equal(401);
  });

  it('of auditors or moderators is 403 for all others, whatever else is wrong', async () => {
    const audits = routes.filter(({ path }) => OF_A_ROLE.test(path));
    expect(audits).to.have.length.above(7);
    for (const route of audits)
      expect((await asked(route, me.token)).status, `${route.method} ${route.path}`).to.equal(403);
  });

  it('of the host application is 401 for all others, whatever else is wrong', async () => {
    const ofKeys = routes.filter(({ path }) => OF_A_KEY.test(path));
    expect(ofKeys).to.have.length.above(15);
    for (const route of ofKeys)
      expect((await asked(route, me.token)).status, `${route.method} ${route.path}`).to.equal(401);
  });

  it('of oneself is 403 for all others, whatever else is wrong', async () => {
    const own = routes.filter(({ method, path }) => OWN.test(`${method} ${path}`));
    expect(own).to.have.length(2);
    for (const route of own) {
      const what = `${route.method} ${route.path}`;
      expect((await asked(route, me.token)).status, what).to.equal(403);
      const ofAnother = { ...route, path: route.path.replace('{userId}', randomUUID()) };
      expect((await asked(ofAnother, me.token)).status, what).to.equal(403);
      const ofMe = { ...route, path: route.path.replace('{userId}', me.userId.toUpperCase()) };
      expect((await asked(ofMe, me.token)).status, what).to.equal(400);
    }
  });

  it('that anybody of the system may ask is 400 or 404 for what is wrong', async () => {
    const others = routes.filter(
      ({ method, path, isOpen }) =>
        !isOpen && !OF_A_ROLE.test(path) && !OF_A_KEY.test(path) && !OWN.test(`${method} ${path}`),
    );
    for (const route of others)
      expect((await asked(route, me.token)).status, `${route.method} ${route.path}`).to.be.oneOf([400, 404]);
  });

  it('is the same with a trailing slash, and so is each page', async () => {
    for (const { method, path } of [
      ...routes,
      { method: 'GET', path: '/audit' },
      { method: 'GET', path: '/docs/rest' },
    ]) {
      const real = path.replace('{userId}', me.userId).replace(/\{\w+\}/g, '0');
      const bare = real === '/' ? '' : real.replace(/\/$/, '');
      const [without, withSlash] = [
        await ask(target.url, `${method} ${bare}`),
        await ask(target.url, `${method} ${bare}/`),
      ];
      expect(withSlash.status, `${method} ${bare}/`).to.equal(without.status);
      expect(withSlash.body?.detail, `${method} ${bare}/`).to.equal(without.body?.detail);
      expect(withSlash.headers.get('content-type')).to.equal(without.headers.get('content-type'));
    }
  });

  it('is 405 with Allow for a wrong method, with a trailing slash too; a second slash is another path', async () => {
    for (const path of ['/user/signin', '/health', '/audit/events', '/audit', `/user/${me.userId}`]) {
      const replies = [await ask(target.url, `PATCH ${path}`), await ask(target.url, `PATCH ${path}/`)];
      for (const { status, headers } of replies) {
        expect(status, path).to.equal(405);
        expect(headers.get('allow'), path).to.contain('OPTIONS');
      }
      expect((await ask(target.url, `GET ${path}//`)).status, path).to.equal(404);
    }
  });
});
