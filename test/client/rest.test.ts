import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Rest } from '../../src/client/rest.js';
import { ClientError } from '../../src/client/types.js';
import { someone } from './scripted.js';

describe('the REST client', () => {
  let server: Server;
  let rest: Rest;
  let asked: { method: string | undefined; url: string | undefined; token?: string; body: unknown };
  let reply: { status: number; type: string; body: string };

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
      response.writeHead(reply.status, { 'content-type': reply.type }).end(reply.body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A server that listens on TCP has an address of this kind.
    rest = new Rest(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
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

  it('expects no body with a 204', async () => {
    answers(204, undefined);
    expect(await rest.signOut('secret', { everywhere: true })).to.equal(undefined);
    expect(asked).to.include({ method: 'POST', url: '/user/signout?everywhere=true' });
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

  it('rejects with the cause when no server answers', async () => {
    const nobody = new Rest('http://127.0.0.1:1');
    const error = await caught(nobody.signIn('ada', 'correct horse'));
    expect(error).to.include({ code: 'disconnected' });
    expect(error).to.have.property('cause').that.is.instanceOf(Error);
  });
});
