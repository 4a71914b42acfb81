import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { expect } from 'chai';
import { ask, type HttpTarget, type Reply } from '../support/http.js';

const password = 'a mild autumn evening';
let names = 0;
const newName = (): string => `user_${process.pid}_${++names}`;

/** What REST promises, of any server: the suite is given the fakes, and the real server on each engine. */
export function restContract(start: () => Promise<HttpTarget>): void {
  let target: HttpTarget;
  before(async () => {
    target = await start();
  });
  // There is none where the suite was left out.
  after(() => target?.close());

  const on = (what: string, options?: Parameters<typeof ask>[2]): Promise<Reply> =>
    ask(target.url, what, options);
  const signIn = (username: string, secret = password): Promise<Reply> =>
    on('POST /user/signin', { json: { username, password: secret } });
  const newUser = async (username = newName()) => {
    const { body } = await on('POST /user/', { json: { username, password } });
    const { token } = (await signIn(username)).body;
    return { userId: String(body.user.userId), username, token: String(token) };
  };
  const isProblem = (reply: Reply, status: number, code: string): void => {
    expect(reply.body, reply.text).to.include({ status, code });
    expect(reply.status).to.equal(status);
    expect(reply.headers.get('content-type')).to.match(/^application\/problem\+json/);
  };
  const wrongFields = (reply: Reply): string[] => {
    isProblem(reply, 400, 'bad_request');
    return reply.body.fields.map(({ path }: { path: string }) => path);
  };

  describe('signing up', () => {
    it('answers 201 with the user, whom every later request sees', async () => {
      const username = newName();
      const reply = await on('POST /user/', { json: { username, password } });
      expect(reply.status).to.equal(201);
      const { user } = reply.body;
      expect(user).to.have.all.keys('userId', 'username', 'backgroundColor', 'createdAt');
      expect(user.username).to.equal(username);
      expect(user.backgroundColor).to.match(/^#[0-9a-f]{6}$/);
      expect(new Date(user.createdAt).toISOString()).to.equal(user.createdAt);
      const other = await newUser();
      expect((await on(`GET /user/${user.userId}`, { token: other.token })).body).to.deep.equal({ user });
      const found = await on(`GET /user/search?q=${username}`, { token: other.token });
      expect(found.body.users[0]).to.deep.equal(user);
    });

    it('keeps a name unique without regard to case, and as it was typed', async () => {
      const username = `Mixed.Case-${names}`;
      const { body } = await on('POST /user/', { json: { username, password } });
      expect(body.user.username).to.equal(username);
      isProblem(
        await on('POST /user/', { json: { username: username.toUpperCase(), password } }),
        409,
        'conflict',
      );
      expect((await signIn(username.toLowerCase())).status).to.equal(200);
    });

    it('gives a name to only one of several simultaneous sign-ups', async () => {
      const json = { username: newName(), password };
      const replies = await Promise.all([1, 2, 3, 4].map(() => on('POST /user/', { json })));
      expect(replies.map(({ status }) => status).sort()).to.deep.equal([201, 409, 409, 409]);
    });

    it('names each wrong field', async () => {
      const both = { username: 'a b', password: 'short', role: 'auditor' };
      expect(wrongFields(await on('POST /user/', { json: both }))).to.have.members([
        'username',
        'password',
        'role',
      ]);
      for (const username of ['ab', 'x'.repeat(33), 'späti', 'a/b', '', 7])
        expect(wrongFields(await on('POST /user/', { json: { username, password } }))).to.deep.equal([
          'username',
        ]);
      for (const bad of ['1234567', 'x'.repeat(257), '😀'.repeat(7), 'password', 'iloveyou', null])
        expect(
          wrongFields(await on('POST /user/', { json: { username: newName(), password: bad } })),
          String(bad),
        ).to.deep.equal(['password']);
    });

    it('accepts passwords of 8 and of 256 characters, and compares all of them', async () => {
      for (const secret of ['8 chars!', `${'x'.repeat(255)}y`, '😀'.repeat(256), 'nul\u0000inside']) {
        const username = newName();
        expect((await on('POST /user/', { json: { username, password: secret } })).status).to.equal(201);
        expect((await signIn(username, secret)).status).to.equal(200);
        isProblem(await signIn(username, `${secret.slice(0, -1)}z`), 401, 'unauthenticated');
      }
    });
  });

  describe('signing in', () => {
    it('answers with a token, its expiry, me, my friends and my chats', async () => {
      const [me, friend] = [await newUser(), await newUser()];
      await target.addFriend(me, friend.userId);
      const roomId = await target.initChat(me, friend.userId);
      const { status, body } = await signIn(me.username);
      expect(status).to.equal(200);
      expect(body).to.have.all.keys('token', 'expiresAt', 'user', 'friends', 'activeChats');
      expect(body.token).to.match(/^[\w-]{43}$/);
      expect(Date.parse(body.expiresAt)).to.be.above(Date.now());
      expect(body.user).to.include({ userId: me.userId, username: me.username });
      expect(body.friends).to.have.lengthOf(1);
      expect(body.friends[0]).to.include({ userId: friend.userId });
      expect(body.activeChats).to.have.lengthOf(1);
      expect(body.activeChats[0]).to.include({ roomId, roomType: 'PRIVATE', lastMessage: null, unread: 0 });
    });

    it('answers alike to an unknown name and to a wrong password', async () => {
      const { username } = await newUser();
      const [unknown, wrong] = [await signIn(newName()), await signIn(username, 'wrong password')];
      isProblem(unknown, 401, 'unauthenticated');
      expect(unknown.body).to.deep.equal(wrong.body);
      expect(wrong.headers.get('www-authenticate')).to.equal('Bearer');
    });

    it('accepts any two strings; 400 is for a wrong shape', async () => {
      for (const json of [
        { username: '', password: '' },
        { username: 'not a name', password: 'x' },
        { username: '\u0000', password: 'x'.repeat(9000) },
      ])
        isProblem(await on('POST /user/signin', { json }), 401, 'unauthenticated');
      expect(wrongFields(await on('POST /user/signin', { json: { username: 7 } }))).to.deep.equal([
        'username',
        'password',
      ]);
    });

    it('finds no name by letters that only resemble it', async () => {
      const { username } = await newUser(`kelvin_${process.pid}`);
      isProblem(await signIn(username.replace('k', '\u212a')), 401, 'unauthenticated');
    });

    it('never gives a token twice, nor lets a proxy store it', async () => {
      const { username, token } = await newUser();
      const again = await signIn(username);
      expect(again.body.token).to.not.equal(token);
      expect(again.headers.get('cache-control')).to.equal('no-store');
      for (const each of [token, again.body.token])
        expect((await on('GET /user/search?q=x', { token: each })).status).to.equal(200);
    });
  });

  describe('signing out', () => {
    it('ends this session only', async () => {
      const { username, token } = await newUser();
      const other = (await signIn(username)).body.token;
      const reply = await on('POST /user/signout', { token });
      expect([reply.status, reply.text]).to.deep.equal([204, '']);
      isProblem(await on('POST /user/signout', { token }), 401, 'unauthenticated');
      expect((await on('GET /user/search?q=x', { token: other })).status).to.equal(200);
    });

    it('ends all of mine, and nobody else’s, with everywhere=true', async () => {
      const [mine, theirs] = [await newUser(), await newUser()];
      const other = (await signIn(mine.username)).body.token;
      expect((await on('POST /user/signout?everywhere=true', { token: mine.token })).status).to.equal(204);
      for (const token of [mine.token, other])
        isProblem(await on('GET /user/search?q=x', { token }), 401, 'unauthenticated');
      expect((await on('GET /user/search?q=x', { token: theirs.token })).status).to.equal(200);
    });

    it('ends all of mine except this one, with everywhere=others', async () => {
      const [mine, theirs] = [await newUser(), await newUser()];
      const other = (await signIn(mine.username)).body.token;
      // The second ends nothing.
      for (let n = 0; n < 2; n++)
        expect((await on('POST /user/signout?everywhere=others', { token: mine.token })).status).to.equal(
          204,
        );
      isProblem(await on('GET /user/search?q=x', { token: other }), 401, 'unauthenticated');
      for (const { token } of [mine, theirs])
        expect((await on('GET /user/search?q=x', { token })).status).to.equal(200);
    });

    it('refuses parameters and fields it does not know, and stays signed in', async () => {
      const { token } = await newUser();
      expect(wrongFields(await on('POST /user/signout?everywhere=yes', { token }))).to.deep.equal([
        'everywhere',
      ]);
      expect(wrongFields(await on('POST /user/signout?all=true', { token }))).to.deep.equal(['all']);
      expect(wrongFields(await on('POST /user/signout', { token, json: { all: true } }))).to.deep.equal([
        'all',
      ]);
      expect((await on('POST /user/signout', { token, json: {} })).status).to.equal(204);
    });
  });

  describe('changing the password', () => {
    const newPassword = 'a cold winter morning';

    it('accepts the new one, refuses the old one, and ends all my other sessions', async () => {
      const { username, token } = await newUser();
      const other = (await signIn(username)).body.token;
      expect((await on('PUT /user/password', { token, json: { password, newPassword } })).status).to.equal(
        204,
      );
      isProblem(await signIn(username), 401, 'unauthenticated');
      isProblem(await on('GET /user/search?q=x', { token: other }), 401, 'unauthenticated');
      expect((await on('GET /user/search?q=x', { token })).status).to.equal(200);
      expect((await signIn(username, newPassword)).status).to.equal(200);
      isProblem(await on('PUT /user/password', { token, json: { password, newPassword } }), 403, 'forbidden');
    });

    it('is 403 with a wrong password and 400 with a bad new one, and changes nothing', async () => {
      const { username, token } = await newUser();
      const other = (await signIn(username)).body.token;
      const wrong = await on('PUT /user/password', { token, json: { password: 'wrong', newPassword } });
      isProblem(wrong, 403, 'forbidden');
      const bad = await on('PUT /user/password', { token, json: { password, newPassword: '12345678' } });
      expect(wrongFields(bad)).to.deep.equal(['newPassword']);
      expect((await on('GET /user/search?q=x', { token: other })).status).to.equal(200);
    });
  });

  describe('users', () => {
    it('shows me with friends and chats, others without', async () => {
      const [me, other] = [await newUser(), await newUser()];
      const mine = await on(`GET /user/${me.userId}`, { token: me.token });
      expect(mine.body).to.have.all.keys('user', 'friends', 'activeChats');
      const upper = await on(`GET /user/${other.userId.toUpperCase()}`, { token: me.token });
      expect(upper.body).to.have.all.keys('user');
      expect(upper.body.user.username).to.equal(other.username);
    });

    it('is 404 for an unknown user and for a text that is no id', async () => {
      const { token } = await newUser();
      for (const id of [randomUUID(), 'mine', '123', '%zz', '%00', `${randomUUID()}/`, 'a%2Fb'])
        isProblem(await on(`GET /user/${id}`, { token }), 404, 'not_found');
    });

    it('searches any part of a name, literally: exact, then prefix, then the rest', async () => {
      const part = `needle${process.pid}`;
      const usernames = [`in.${part}`, `${part}-2`, part.toUpperCase(), `a_${part}`];
      for (const username of usernames) await newUser(username);
      const { token } = await newUser(`me-${part}`);
      const search = async (query: string): Promise<string[]> => {
        const reply = await on(`GET /user/search?${query}`, { token });
        return reply.body.users.map(({ username }: { username: string }) => username);
      };
      const found = await search(`q=${part}`);
      expect(found.slice(0, 2)).to.deep.equal([part.toUpperCase(), `${part}-2`]);
      expect(found).to.have.members(usernames);
      expect(await search(`q=${part.slice(1)}&limit=2`)).to.have.lengthOf(2);
      for (const literal of ['.*', '%25', '_%25', '%5B', '%F0%9F%98%80'])
        expect(await search(`q=${literal}${part}`), literal).to.deep.equal([]);
    });

    it('does not find my friends', async () => {
      const [me, friend] = [await newUser(), await newUser()];
      await target.addFriend(me, friend.userId);
      const { body } = await on(`GET /user/search?q=${friend.username}`, { token: me.token });
      const ids = body.users.map(({ userId }: { userId: string }) => userId);
      expect(ids).to.not.include(friend.userId);
    });

    it('refuses parameters that are missing, out of range, unknown, doubled or not a revision', async () => {
      const { userId, token } = await newUser();
      const cases: [string, string][] = [
        ['/user/search', 'q'],
        ['/user/search?q=', 'q'],
        [`/user/search?q=${'x'.repeat(33)}`, 'q'],
        ['/user/search?q=x&limit=0', 'limit'],
        ['/user/search?q=x&limit=51', 'limit'],
        ['/user/search?q=x&limit=1e1', 'limit'],
        ['/user/search?q=x&limit=', 'limit'],
        ['/user/search?q=x&q=y', 'q'],
        ['/user/search?q=x&page=2', 'page'],
        [`/user/${userId}?fields=all`, 'fields'],
        [`/user/${userId}?revision=`, 'revision'],
      ];
      for (const [path, field] of cases)
        expect(wrongFields(await on(`GET ${path}`, { token })), path).to.deep.equal([field]);
      isProblem(await on(`GET /user/${userId}?revision=nonsense`, { token }), 400, 'bad_request');
      isProblem(await on('GET /user/search?q=x&revision=nonsense', { token }), 400, 'bad_request');
    });

    it('needs a valid token', async () => {
      const { userId, token } = await newUser();
      const requests = [
        `GET /user/${userId}`,
        'GET /user/search?q=x',
        'POST /user/signout',
        'PUT /user/password',
      ];
      const headers = [
        {},
        'Bearer',
        `Basic ${token}`,
        `Bearer ${token}x`,
        `Bearer ${'x'.repeat(2000)}`,
        'Bearer a b',
      ];
      for (const what of requests)
        for (const authorization of headers)
          isProblem(
            await on(what, typeof authorization === 'string' ? { headers: { authorization } } : {}),
            401,
            'unauthenticated',
          );
      isProblem(await on(`GET /user/${userId}?token=${token}`), 401, 'unauthenticated');
      expect(
        (await on(`GET /user/${userId}`, { headers: { authorization: `bearer ${token}` } })).status,
      ).to.equal(200);
    });
  });

  describe('bodies, paths and methods', () => {
    it('refuses what is not JSON in UTF-8', async () => {
      const post = (raw: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Reply> =>
        on('POST /user/signin', { raw, headers });
      const json = { 'content-type': 'application/json; charset=utf-8' };
      const latin1 = Buffer.from('{"username":"x","password":"\xe4"}', 'latin1');
      for (const raw of ['{"username":', '"text"', '[]', 'null', latin1])
        isProblem(await post(raw, json), 400, 'bad_request');
      isProblem(await on('POST /user/signin'), 400, 'bad_request');
      const good = JSON.stringify({ username: 'x', password: 'y' });
      isProblem(await post(good, json), 401, 'unauthenticated');
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'application/json; charset=utf-16',
      ])
        isProblem(await post(good, { 'content-type': type }), 415, 'bad_request');
      isProblem(await post(good, { ...json, 'content-encoding': 'gzip' }), 415, 'bad_request');
    });

    it('accepts at most 64 KiB, whether the length is announced or not', async () => {
      const ofSize = (bytes: number): string => {
        const empty = JSON.stringify({ username: 'x', password: '' });
        return JSON.stringify({ username: 'x', password: 'p'.repeat(bytes - empty.length) });
      };
      const headers = { 'content-type': 'application/json' };
      isProblem(await on('POST /user/signin', { raw: ofSize(65_536), headers }), 401, 'unauthenticated');
      isProblem(await on('POST /user/signin', { raw: ofSize(65_537), headers }), 413, 'bad_request');
      const head = 'POST /user/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
      const chunk = `${(70_000).toString(16)}\r\n${'x'.repeat(70_000)}\r\n0\r\n\r\n`;
      const answer = await raw(target.url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
      expect(answer).to.match(/^HTTP\/1\.1 413 /);
    });

    it('is 405 with Allow for a wrong method, 204 with Allow for OPTIONS', async () => {
      const cases: [string, string][] = [
        ['PUT /user/', 'OPTIONS, POST'],
        ['GET /user/signin', 'OPTIONS, POST'],
        ['POST /user/search', 'GET, HEAD, OPTIONS'],
        ['DELETE /health', 'GET, HEAD, OPTIONS'],
        [`PATCH /user/${randomUUID()}`, 'GET, HEAD, OPTIONS'],
      ];
      for (const [what, allow] of cases) {
        const reply = await on(what);
        isProblem(reply, 405, 'bad_request');
        expect(reply.headers.get('allow'), what).to.satisfy((have: string) =>
          allow.split(', ').every((method) => have.split(', ').includes(method)),
        );
      }
      const options = await on('OPTIONS /user/signin');
      expect([options.status, options.headers.get('allow')]).to.deep.equal([204, 'OPTIONS, POST']);
    });

    it('answers HEAD as GET, without the body', async () => {
      const reply = await on('HEAD /health');
      expect([reply.status, reply.text]).to.deep.equal([200, '']);
    });

    it('is 404 for other paths, with or without a token', async () => {
      const { token } = await newUser();
      for (const path of [
        '/nothing',
        '/user/search/more',
        '/USER/search',
        '/docs/../package.json',
        '/docs/x.js',
      ])
        for (const options of [{}, { token }]) isProblem(await on(`GET ${path}`, options), 404, 'not_found');
    });

    it('sends every answer with headers that keep browsers from guessing', async () => {
      for (const what of ['GET /health', 'GET /nothing', 'GET /docs', 'POST /user/signin']) {
        const { headers } = await on(what);
        expect(headers.get('x-content-type-options'), what).to.equal('nosniff');
        expect(headers.get('referrer-policy'), what).to.equal('no-referrer');
        expect(headers.get('content-security-policy'), what).to.contain("default-src 'none'");
      }
    });
  });

  describe('operations', () => {
    it('answers /health, /ready and /metrics to everyone', async () => {
      expect((await on('GET /health')).status).to.equal(200);
      // One process measures itself.
      const { url } = target;
      expect((await ask(url, 'GET /ready')).status).to.equal(200);
      const metrics = await ask(url, 'GET /metrics');
      expect(metrics.headers.get('content-type')).to.match(/^text\/plain/);
      expect(metrics.text).to.match(/parley_http_request_seconds_count\{.*route="\/ready".*\} \d/);
      expect(metrics.text).to.contain('nodejs_eventloop_lag');
      expect(wrongFields(await on('GET /health?verbose=1'))).to.deep.equal(['verbose']);
    });
  });
}

/** Sends bytes as they are and answers with the first that come back. */
function raw(url: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text));
    socket.once('error', reject);
    socket.once('data', (data) => {
      resolve(data.toString());
      socket.destroy();
    });
  });
}
