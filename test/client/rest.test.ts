import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Rest, type RestOptions } from '../../packages/client/src/rest.js';
import { ClientError } from '../../packages/client/src/types.js';
import { eventually } from '../support/eventually.js';
import { someone } from './scripted.js';

describe('the REST client', () => {
  let server: Server;
  let url: string;
  let rest: Rest;
  let asked: { method: string | undefined; url: string | undefined; token?: string; body: unknown };
  /** Undefined: no answer at all; `cut`: its first half, and then nothing more. */
  let reply: { status: number; type: string; body: string; cut?: 'silent' | 'closed' } | undefined;
  let asks = 0;
  let gone = 0;

  before(async () => {
    server = createServer(async (request, response) => {
      const body = await text(request);
      const { authorization } = request.headers;
      asked = {
        method: request.method,
        url: request.url,
        ...(authorization === undefined ? {} : { token: authorization }),
        body: body === '' ? undefined : JSON.parse(body),
      };
      asks++;
      response.once('close', () => gone++);
      if (reply === undefined) return;
      const { status, type, body: told, cut } = reply;
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(told) });
      if (cut === undefined) response.end(told);
      else response.write(told.slice(0, told.length / 2), () => cut === 'closed' && response.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A server that listens on TCP has an address of this kind.
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    rest = new Rest(url);
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const answers = (status: number, body: unknown, type = 'application/json'): void => {
    reply = { status, type, body: body === undefined ? '' : JSON.stringify(body) };
  };
  const caught = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

  it('signs up, without a token', async () => {
    answers(201, { user: someone });
    expect(await rest.signUp('ada', 'correct horse')).to.deep.equal(someone);
    expect(asked).to.deep.equal({
      method: 'POST',
      url: '/user/',
      body: { username: 'ada', password: 'correct horse' },
    });
  });

  it('escapes the search text', async () => {
    answers(200, { users: [someone] });
    expect(await rest.search('secret', 'a&b', { limit: 5, revision: 'r/1' })).to.deep.equal([someone]);
    expect(asked.url).to.equal('/user/search?q=a%26b&limit=5&revision=r%2F1');
    expect(asked.token).to.equal('Bearer secret');
  });

  it('changes a profile, and sets a password with a code', async () => {
    answers(200, { user: someone, revision: 'r' });
    const changes = { displayName: 'Ada', about: null };
    expect(await rest.changeProfile('secret', changes)).to.deep.equal({ user: someone, revision: 'r' });
    expect(asked).to.include({ method: 'PATCH', url: '/user/me', token: 'Bearer secret' });
    expect(asked.body).to.deep.equal(changes);
    answers(204, undefined);
    await rest.resetPassword('ada', 'a code', 'new password');
    expect(asked).to.include({ method: 'POST', url: '/user/password-reset' });
    expect(asked).to.not.have.property('token');
    expect(asked.body).to.deep.equal({ username: 'ada', code: 'a code', newPassword: 'new password' });
  });

  it('expects no body with a 204', async () => {
    answers(204, undefined);
    expect(await rest.signOut('secret', { everywhere: true })).to.equal(undefined);
    expect(asked).to.include({ method: 'POST', url: '/user/signout?everywhere=true' });
    expect(await rest.signOut('secret', { everywhere: 'others' })).to.equal(undefined);
    expect(asked).to.include({ method: 'POST', url: '/user/signout?everywhere=others' });
    expect(await rest.changePassword('secret', 'old password', 'new password')).to.equal(undefined);
    expect(asked).to.deep.include({ body: { password: 'old password', newPassword: 'new password' } });
  });

  it('turns a problem document into a typed error', async () => {
    const fields = [{ path: 'username', message: 'must be at least 3 characters' }];
    const problem = { type: 'about:blank', title: 'Bad Request', status: 400, detail: 'invalid', fields };
    answers(400, { ...problem, code: 'bad_request' }, 'application/problem+json');
    const error = await caught(rest.signIn('x', 'y'));
    expect(error).to.be.instanceOf(ClientError).with.property('code', 'bad_request');
    expect(error).to.deep.include({ message: 'invalid', fields });
  });

  it('says when the server allows a retry', async () => {
    answers(503, { code: 'overloaded', retryAfterMs: 250 }, 'application/problem+json');
    const error = await caught(rest.user('secret', someone.userId));
    expect(error).to.include({ code: 'overloaded', retryAfterMs: 250, canRetry: true });
  });

  it('reports an error that is no problem document', async () => {
    answers(502, 'Bad Gateway', 'text/html');
    expect(await caught(rest.user('secret', someone.userId))).to.include({ code: 'internal' });
  });

  it('rejects with the cause when the connection ends in the middle of an answer', async () => {
    reply = { status: 200, type: 'application/json', body: JSON.stringify({ users: [] }), cut: 'closed' };
    const error = await caught(rest.search('secret', 'a'));
    expect(error).to.be.instanceOf(ClientError).with.property('code', 'disconnected');
    expect(error).to.have.property('cause').that.is.instanceOf(Error);
  });

  it('reports an answer that is none of a Parley server', async () => {
    reply = { status: 200, type: 'text/html', body: '<h1>Welcome</h1>' };
    expect(await caught(rest.user('secret', someone.userId))).to.include({
      name: 'ClientError',
      code: 'internal',
    });
  });

  it('takes a URL with slashes at its end', async () => {
    answers(200, { users: [] });
    for (const end of ['', '/', '//']) {
      await new Rest(url + end).search('secret', 'a');
      expect(asked.url, end).to.equal('/user/search?q=a');
      await new Rest(`${url}/chat${end}`).search('secret', 'a');
      expect(asked.url, end).to.equal('/chat/user/search?q=a');
    }
  });

  describe('with a server that does not answer', () => {
    const timers: { ms: number; run: () => void; isOver: boolean }[] = [];
    const options: RestOptions = {
      after: (ms, run) => {
        const timer = { ms, run, isOver: false };
        timers.push(timer);
        return () => {
          timer.isOver = true;
        };
      },
    };
    const requests: Record<string, (rest: Rest) => Promise<unknown>> = {
      signUp: (rest) => rest.signUp('ada', 'correct horse'),
      signIn: (rest) => rest.signIn('ada', 'correct horse'),
      signOut: (rest) => rest.signOut('secret'),
      changePassword: (rest) => rest.changePassword('secret', 'old password', 'new password'),
      resetPassword: (rest) => rest.resetPassword('ada', 'code', 'new password'),
      changeProfile: (rest) => rest.changeProfile('secret', { about: null }),
      search: (rest) => rest.search('secret', 'a'),
      user: (rest) => rest.user('secret', someone.userId),
      erase: (rest) => rest.erase('secret', someone.userId, 'correct horse'),
    };
    beforeEach(() => {
      timers.length = 0;
      gone = 0;
    });

    it('has a test for each request', () => {
      const methods = Object.getOwnPropertyNames(Rest.prototype);
      expect(['constructor', ...Object.keys(requests)]).to.have.members(methods);
    });

    for (const [name, ask] of Object.entries(requests))
      for (const cut of [undefined, 'silent'] as const)
        it(`gives up at the deadline, and ends the connection: ${name}, ${cut ?? 'not even begun'}`, async () => {
          reply = cut && { status: 200, type: 'application/json', body: '{"users":[]}', cut };
          const patient = new Rest(url, { ...options, timeoutMs: 1234 });
          asks = 0;
          const failing = caught(ask(patient));
          await eventually('it was asked', () => asks === 1 && timers.length === 1);
          expect(timers[0]?.ms).to.equal(name === 'erase' ? 12_340 : 1234);
          timers[0]?.run();
          expect(await failing)
            .to.be.instanceOf(ClientError)
            .with.property('code', 'timeout');
          await eventually('the connection has ended', () => gone === 1);
        });

    it('has a deadline of 30 s unless another is given, and ends its timer with the answer', async () => {
      answers(200, { users: [] });
      await new Rest(url, options).search('secret', 'a');
      expect(timers.map(({ ms, isOver }) => ({ ms, isOver }))).to.deep.equal([{ ms: 30_000, isOver: true }]);
    });
  });

  it('rejects with the cause when no server answers', async () => {
    const nobody = new Rest('http://127.0.0.1:1');
    const error = await caught(nobody.signIn('ada', 'correct horse'));
    expect(error).to.include({ code: 'disconnected' });
    expect(error).to.have.property('cause').that.is.instanceOf(Error);
  });
});
