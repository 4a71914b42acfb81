import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { ask } from '../support/http.js';
import { RawSocket } from '../support/rawSocket.js';
import { type RealIssuer, startRealIssuer } from '../support/realIssuer.js';
import { type ServerProcess, startServer } from '../support/server.js';

const REDIRECT_URI = 'http://127.0.0.1:1/signed-in';

/** A browser, as far as an issuer sees one: it keeps cookies and shows no page. */
class Browser {
  readonly #cookies = new Map<string, string>();

  /** Follows no redirect. */
  async ask(url: string, form?: Record<string, string>): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
      ...{ headers: { cookie }, redirect: 'manual' },
    });
    for (const text of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(text) ?? [];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }

  /** Where it is sent. */
  async next(url: string, form?: Record<string, string>): Promise<string> {
    const { status, headers } = await this.ask(url, form);
    expect(status, url).to.be.within(302, 303);
    return new URL(headers.get('location') ?? '', url).href;
  }
}

describe('an issuer of another maker (oidc-provider)', function () {
  this.timeout(120_000);
  let issuer: RealIssuer;
  let server: ServerProcess;

  before(async () => {
    issuer = await startRealIssuer();
    server = await startServer({ engine: 'sqlite', env: { ...issuer.settings, SIGN_UP: 'external' } });
    issuer.serve({ redirectUri: REDIRECT_URI, server: server.url });
  });
  after(async () => {
    await server?.stop();
    issuer?.close();
  });

  /** Signs in at the issuer as a page does, and gives its answer to Parley. */
  async function signIn(browser: Browser, sub: string) {
    const { body } = await ask(server.url, 'GET /signin-options');
    expect(body).to.include({ password: false, signUp: false });
    const client = body.issuer;
    const codeVerifier = randomBytes(32).toString('base64url');
    const start = new URL(client.authorizationEndpoint);
    start.search = new URLSearchParams({
      ...{ response_type: 'code', scope: 'openid profile', client_id: client.clientId, state: 'x' },
      ...{ redirect_uri: REDIRECT_URI, code_challenge_method: 'S256' },
      code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    }).toString();
    const login = await browser.next(start.href);
    const afterLogin = await browser.next(login, { prompt: 'login', login: sub, password: 'any' });
    const consent = await browser.next(afterLogin);
    const afterConsent = await browser.next(consent, { prompt: 'consent' });
    const back = new URL(await browser.next(afterConsent));
    const code = back.searchParams.get('code') ?? '';
    return { code, codeVerifier, redirectUri: REDIRECT_URI };
  }

  it('signs its users in by the code flow with PKCE, and out on its back channel', async () => {
    const [browser, sub] = [new Browser(), randomUUID()];
    const json = await signIn(browser, sub);
    const wrong = await ask(server.url, 'POST /oidc/signin', {
      json: { ...json, codeVerifier: 'x'.repeat(43) },
    });
    expect([wrong.status, wrong.body.code]).to.deep.equal([401, 'unauthenticated']);
    const again = await signIn(new Browser(), sub);
    const { status, body } = await ask(server.url, 'POST /oidc/signin', { json: again });
    expect(status).to.equal(200);
    expect(body.user).to.include({ username: `name-${sub.slice(0, 8)}`, displayName: 'Ada L.' });
    const used = await ask(server.url, 'POST /oidc/signin', { json: again });
    expect(used.status, 'a code is good once').to.equal(401);

    const own = new Browser();
    const { body: mine } = await ask(server.url, 'POST /oidc/signin', { json: await signIn(own, sub) });
    expect(mine.user.userId).to.equal(body.user.userId);
    const [device, other] = [
      await RawSocket.open(server.wsUrl, mine.token),
      await RawSocket.open(server.wsUrl, body.token),
    ];
    const page = await own.ask(`${issuer.url}/session/end?id_token_hint=${mine.token}`);
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(await page.text()) ?? [];
    await own.ask(`${issuer.url}/session/end/confirm`, { xsrf, logout: 'yes' });
    expect(await device.closed).to.equal(4401);
    expect((await ask(server.url, `GET /user/${mine.user.userId}`, { token: mine.token })).status).to.equal(
      401,
    );
    // The other session of the issuer goes on.
    await other.request('get preferences', {});
    await other.close();
  });
});
