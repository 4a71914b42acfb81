import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { FakeIssuer, newIssuerKey } from '../support/fakeIssuer.js';
import { ask, type Reply } from '../support/http.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { startServer } from '../support/server.js';
import { Newcomer } from './newcomer.js';

const refusal = ({ status, body: { code, reason } }: Reply) =>
  reason === undefined ? [status, code] : [status, code, reason];

for (const engine of kindsWith('nodes')) {
  describe(`the identity of a host application (${engine})`, function () {
    this.timeout(120_000);
    let issuer: FakeIssuer;
    let server: Running;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      issuer = await FakeIssuer.start();
      const limits = { RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' };
      server = await startFresh(engine, { env: { ...issuer.settings, ...limits, SESSION_TTL: '1h' } });
    });
    after(async () => {
      await server?.stop();
      await issuer?.close();
    });

    const on = (what: string, token?: string, json?: unknown): Promise<Reply> =>
      ask(server.url, what, {
        ...(token === undefined ? {} : { token }),
        ...(json === undefined ? {} : { json }),
      });
    const newSubject = () => `person ${randomUUID()}`;
    /** Who the token is of, by a socket. */
    const identify = async (token: string) => {
      const socket = await RawSocket.connect(server.wsUrl);
      const { user } = await socket.request('identity', { token });
      return { socket, user };
    };
    const isTaken = async (token: string): Promise<boolean> => {
      const socket = await RawSocket.connect(server.wsUrl);
      const { error } = await socket.answer(socket.send('identity', { token }));
      await socket.close();
      if (error) expect(error.code).to.equal('unauthenticated');
      return !error;
    };
    const logOut = async (claims: Record<string, unknown>): Promise<Response> =>
      fetch(`${server.url}/oidc/logout`, {
        method: 'POST',
        body: new URLSearchParams({ logout_token: await issuer.logoutToken(claims) }),
      });

    it('makes the user of a subject with its first token, wherever that is taken', async () => {
      const sub = newSubject();
      const username = `ada-${randomUUID().slice(0, 8)}`;
      const token = await issuer.token({ sub, preferred_username: username, name: 'Ada L.' });
      const { user, socket } = await identify(token);
      expect(user).to.include({ username, displayName: 'Ada L.' });
      const other = await issuer.token({ sub, preferred_username: 'other', name: 'Other' });
      const { body } = await on(`GET /user/${user.userId}`, other);
      expect(body.user).to.deep.equal(user);
      const upgraded = await RawSocket.connect(server.wsUrl, {
        headers: { authorization: `Bearer ${other}` },
      });
      expect((await upgraded.request('identity', {})).user).to.deep.equal(user);
      await Promise.all([socket.close(), upgraded.close()]);
    });

    it('chooses a name where the token has none that is free', async () => {
      const taken = (await Newcomer.at(server)).user.username ?? '';
      for (const preferred_username of [undefined, taken, taken.toUpperCase(), 'no name', 'x'.repeat(33)]) {
        const { user, socket } = await identify(
          await issuer.token({ sub: newSubject(), preferred_username }),
        );
        expect(user.username).to.match(/^u\.[a-z0-9]{12}$/);
        await socket.close();
      }
    });

    it('makes one user of tokens at the same time', async () => {
      const sub = newSubject();
      const tokens = await Promise.all(Array.from({ length: 8 }, () => issuer.token({ sub })));
      const found = await Promise.all([...tokens, ...tokens].map(identify));
      expect(new Set(found.map(({ user }) => user.userId)).size).to.equal(1);
      await Promise.all(found.map(({ socket }) => socket.close()));
    });

    it('is refused without a hint which, where a token is not good', async () => {
      const mallory = await newIssuerKey();
      const answers = new Set<string>();
      for (const token of [
        await issuer.token({ exp: -61 }),
        await issuer.token({ aud: 'other' }),
        await issuer.token({}, { key: mallory }),
        await issuer.token({}, { key: mallory, header: { kid: issuer.key.kid } }),
        'a.b.c',
      ]) {
        const { status, body } = await on(`GET /user/${randomUUID()}`, token);
        answers.add(JSON.stringify({ status, body }));
        expect(await isTaken(token)).to.equal(false);
      }
      expect([...answers]).to.have.length(1);
      expect([...answers][0]).to.contain('"status":401');
    });

    it('ends 60 s after the token does', async function () {
      // It has 3 s left, which may pass before it is used on a machine that stands still for a moment.
      this.retries(2);
      const { socket } = await identify(await issuer.token({ sub: newSubject(), iat: -120, exp: -57 }));
      expect(await socket.closed).to.equal(4401);
    });

    it('goes on without a gap with another token of the same user', async function () {
      // The first has 4 s left, as above.
      this.retries(2);
      const sub = newSubject();
      const { socket, user } = await identify(await issuer.token({ sub, iat: -120, exp: -56 }));
      const stranger = await issuer.token({ sub: newSubject() });
      expect(await socket.refusal('renew', { token: stranger })).to.include({ code: 'forbidden' });
      expect(await socket.refusal('renew', { token: 'a.b.c' })).to.include({ code: 'unauthenticated' });
      const token = await issuer.token({ sub, exp: 300 });
      const { expiresAt } = await socket.request('renew', { token });
      expect(Date.parse(expiresAt) - Date.now()).to.be.within(340_000, 360_000);
      await eventually('the first token has ended', async () => {
        const { status } = await on(`GET /user/${user.userId}`, token);
        expect(status).to.equal(200);
        return Date.now() > Date.parse(expiresAt) - 352_000;
      });
      await socket.request('get preferences', {});
      await socket.close();
    });

    it('ends after SESSION_TTL at the latest', async function () {
      // It has 3 s left, as above.
      this.retries(2);
      const { socket } = await identify(await issuer.token({ sub: newSubject() }));
      const token = await issuer.token({ sub: newSubject(), iat: -3597, exp: 86_400 });
      const { socket: old } = await identify(token);
      expect(await old.closed).to.equal(4401);
      expect(await isTaken(token)).to.equal(false);
      await socket.close();
    });

    it('is over when its token signs out, as any session is', async () => {
      const sub = newSubject();
      const [token, other] = [await issuer.token({ sub }), await issuer.token({ sub })];
      const { socket } = await identify(token);
      expect(await isTaken(other)).to.equal(true);
      expect((await on('POST /user/signout', token)).status).to.equal(204);
      expect(await socket.closed).to.equal(4401);
      for (let i = 0; i < 4; i++) expect(await isTaken(token)).to.equal(false);
      expect(await isTaken(other)).to.equal(true);
      expect((await on('POST /user/signout?everywhere=true', other)).status).to.equal(204);
      expect(await isTaken(other)).to.equal(false);
    });

    it('is ended for a subject by the issuer, on all nodes, with its tokens until then', async () => {
      const sub = newSubject();
      const [used, unused] = [await issuer.token({ sub }), await issuer.token({ sub, iat: -10 })];
      const bystander = await identify(await issuer.token({ sub: newSubject() }));
      const sessions = await Promise.all(Array.from({ length: 4 }, () => identify(used)));
      const closing = Promise.all(sessions.map(({ socket }) => socket.closed));
      const answer = await logOut({ sub });
      expect([answer.status, await answer.text()]).to.deep.equal([200, '']);
      expect(answer.headers.get('cache-control')).to.equal('no-store');
      expect(await closing).to.deep.equal([4401, 4401, 4401, 4401]);
      for (const token of [used, unused]) expect(await isTaken(token)).to.equal(false);
      expect(await isTaken(await issuer.token({ sub, iat: 2 }))).to.equal(true);
      await bystander.socket.request('get preferences', {});
      await bystander.socket.close();
    });

    it('is ended for one session of the issuer, with all of its tokens', async () => {
      const sub = newSubject();
      const of = (sid: string, iat = 0) => issuer.token({ sub, sid, iat });
      const [one, two] = [randomUUID(), randomUUID()];
      const [first, second] = [await identify(await of(one)), await identify(await of(two))];
      expect((await logOut({ sub, sid: one })).status).to.equal(200);
      expect(await first.socket.closed).to.equal(4401);
      for (const iat of [-10, 2]) expect(await isTaken(await of(one, iat))).to.equal(false);
      expect(await isTaken(await of(two))).to.equal(true);
      await second.socket.request('get preferences', {});
      await second.socket.close();
    });

    it('is ended by a logout token alone', async () => {
      const post = async (logout_token: string) =>
        (
          await fetch(`${server.url}/oidc/logout`, {
            method: 'POST',
            body: new URLSearchParams({ logout_token }),
          })
        ).status;
      const sub = newSubject();
      const token = await issuer.token({ sub });
      expect(await post(token)).to.equal(400);
      expect(await post('x')).to.equal(400);
      const forged = await issuer.logoutToken(
        { sub },
        { key: await newIssuerKey(), header: { kid: issuer.key.kid } },
      );
      expect(await post(forged)).to.equal(400);
      expect((await on('POST /oidc/logout', undefined, { logout_token: 'x' })).status).to.equal(415);
      expect(await isTaken(token)).to.equal(true);
      expect(await isTaken(await issuer.logoutToken({ sub }))).to.equal(false);
    });

    it('erases its account with a token of the last 5 minutes, and stays erased', async () => {
      const sub = newSubject();
      const [old, fresh] = [await issuer.token({ sub, iat: -301, exp: 600 }), await issuer.token({ sub })];
      const { user, socket } = await identify(old);
      const erase = (bearer: string, json?: object) => on(`DELETE /user/${user.userId}`, bearer, json);
      expect(refusal(await erase(old))).to.deep.equal([403, 'forbidden', 'sign_in_again']);
      const other = await issuer.token({ sub: newSubject() });
      expect(refusal(await erase(old, { token: other }))).to.deep.equal([403, 'forbidden', 'sign_in_again']);
      expect(refusal(await erase(old, { password: 'x' }))).to.deep.equal([403, 'forbidden', 'sign_in_again']);
      expect((await erase(old, { token: fresh })).status).to.equal(204);
      expect(await socket.closed).to.equal(4401);
      for (const token of [old, fresh, await issuer.token({ sub, iat: 2 })])
        expect(await isTaken(token)).to.equal(false);
    });

    it('of a suspended user is forbidden', async () => {
      const sub = newSubject();
      const { user, socket } = await identify(await issuer.token({ sub }));
      const suspend = ['user', 'suspend', user.username ?? '', '--reason', 'spam'];
      expect(await parley(suspend, server.settings)).to.include({ code: 0 });
      expect(await socket.closed).to.equal(4401);
      const next = await issuer.token({ sub });
      expect(refusal(await on(`GET /user/${user.userId}`, next))).to.deep.equal([
        403,
        'forbidden',
        'suspended',
      ]);
      const restore = ['user', 'restore', user.username ?? '', '--reason', 'a mistake'];
      expect(await parley(restore, server.settings)).to.include({ code: 0 });
      expect(await isTaken(next)).to.equal(true);
    });

    it('is that of the user whom the host has made by the same id', async () => {
      const sub = newSubject();
      const { out } = await parley(['key', 'add', 'x', '--scopes', 'users'], server.settings);
      const { body } = await on(`PUT /server/users/${encodeURIComponent(`ext:${sub}`)}`, out.trim(), {});
      const { user, socket } = await identify(await issuer.token({ sub }));
      expect(user.userId).to.equal(body.user.userId);
      await socket.close();
    });

    it('is overloaded while the keys of the issuer cannot be had, and takes what it has verified', async () => {
      const known = await issuer.token({ sub: newSubject() });
      expect(await isTaken(known)).to.equal(true);
      issuer.status = 503;
      const unknown = await issuer.token({}, { key: await newIssuerKey() });
      const codes = new Set<string>();
      await eventually('the keys are asked for again', async () => {
        const { body } = await on(`GET /user/${randomUUID()}`, unknown);
        codes.add(body.code);
        return body.code === 'overloaded' || codes.has('unauthenticated');
      });
      expect(await isTaken(known)).to.equal(true);
      issuer.status = 200;
    });
  });
}

describe('who makes users', function () {
  this.timeout(120_000);
  const json = { username: 'ann', password: 'a mild autumn evening' };

  it('is everybody, or only the host, operators and issuers', async () => {
    const issuer = await FakeIssuer.start();
    const server = await startServer({ engine: 'sqlite', env: { ...issuer.settings, SIGN_UP: 'closed' } });
    expect(refusal(await ask(server.url, 'POST /user', { json }))).to.deep.equal([
      403,
      'forbidden',
      'sign_up_closed',
    ]);
    expect(refusal(await ask(server.url, 'POST /user/signin', { json }))).to.deep.equal([
      401,
      'unauthenticated',
    ]);
    await (await RawSocket.open(server.wsUrl, await issuer.token())).close();
    await server.stop();
    await issuer.close();
  });

  it('is said in the log, without names, where a user gets another name than the wanted one', async () => {
    const issuer = await FakeIssuer.start();
    const server = await startServer({ engine: 'sqlite', env: issuer.settings });
    const taken = 'annabella';
    await ask(server.url, 'POST /user', { json: { ...json, username: taken } });
    const identify = async (sub: string, preferred_username: string) => {
      const socket = await RawSocket.connect(server.wsUrl);
      const token = await issuer.token({ sub, preferred_username });
      const { user } = await socket.request('identity', { token });
      await socket.close();
      return user;
    };
    const user = await identify('one', taken);
    await identify('two', 'still-free');
    await identify('one', taken);
    await server.stop();
    const lines = server.log.split('\n').filter((line) => line.includes('preferred_username'));
    expect(lines).to.have.length(1);
    expect(JSON.parse(lines[0] ?? '')).to.include({ level: 'warn', user: user.userId });
    expect(lines[0]).not.to.include(taken);
    await issuer.close();
  });

  it('is nobody with a password where users are external', async () => {
    const server = await startServer({ engine: 'sqlite', env: { SIGN_UP: 'external' } });
    for (const what of ['POST /user', 'POST /user/signin'])
      expect(refusal(await ask(server.url, what, { json })), what).to.deep.equal([404, 'not_found']);
    expect((await ask(server.url, 'POST /oidc/logout')).status).to.equal(404);
    expect((await ask(server.url, 'GET /signin-options')).body).to.deep.equal({
      password: false,
      signUp: false,
    });
    await server.stop();
  });

  it('is said by settings that fit together, or the server does not start', async () => {
    const message = async (env: Record<string, string>): Promise<string> =>
      startServer({ engine: 'sqlite', env }).then(
        () => 'it started',
        (error: Error) => error.message,
      );
    const url = 'https://issuer.example';
    expect(await message({ OIDC_ISSUER: url })).to.contain('OIDC_AUDIENCE: ');
    expect(await message({ OIDC_AUDIENCE: 'x' })).to.contain('OIDC_ISSUER: ');
    expect(await message({ OIDC_CLIENT_ID: 'x' })).to.contain('OIDC_ISSUER: ');
    for (const issuer of ['http://issuer.example', 'https://10.0.0.1', 'https://a:b@issuer.example'])
      expect(await message({ OIDC_ISSUER: issuer, OIDC_AUDIENCE: 'x' }), issuer).to.contain(
        'OIDC_ISSUER: must',
      );
    expect(await message({ SIGN_UP: 'some' })).to.contain('SIGN_UP: ');
  });
});
