import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { repository } from '../deploy/dockerfile.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { RawSocket } from '../support/rawSocket.js';
import { rejection } from '../support/rejection.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { chatOf, Newcomer, say } from './newcomer.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('the log of accesses and of security', () => {
  let server: ServerProcess;
  afterEach(() => server.kill());

  const start = async (env: Record<string, string> = {}): Promise<void> => {
    server = await startServer({ engine: 'sqlite', env: { TRUST_PROXY: '1', ...env } });
  };
  const lines = (): Record<string, unknown>[] =>
    server.log
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line));
  /** Waits for a line with this text and these facts. */
  async function line(msg: string, facts: Record<string, unknown>): Promise<Record<string, unknown>> {
    const find = () =>
      lines().find(
        (each) => each.msg === msg && Object.entries(facts).every(([name, is]) => each[name] === is),
      );
    await eventually(`${msg} ${JSON.stringify(facts)}`, () => find() !== undefined);
    return find() ?? {};
  }
  const from = (address: string) => ({ headers: { 'x-forwarded-for': `1.1.1.1, ${address}` } });
  /** The status of a refused upgrade. */
  const refused = async (headers: Record<string, string>): Promise<string> =>
    String(await rejection(RawSocket.connect(server.wsUrl, { headers })));

  it('has a line of each sign-up, sign-in and refusal, with the id of its answer and the address', async () => {
    await start({ AUTH_RATE_LIMIT: '1:4' });
    const person = { username: `ada-${randomUUID().slice(0, 8)}`, password: 'correct horse battery staple' };
    const wrong = { ...person, password: 'incorrect horse battery' };
    const signedUp = await ask(server.url, 'POST /user', { json: person, ...from('192.0.2.1') });
    const signedIn = await ask(server.url, 'POST /user/signin', { json: person, ...from('192.0.2.1') });
    const failed = await ask(server.url, 'POST /user/signin', { json: wrong, ...from('2001:db8::7') });
    const unknown = await ask(server.url, 'GET /user/search?q=bob', { token: 'none', ...from('192.0.2.3') });
    const { token, user } = signedIn.body;
    const forbidden = await ask(server.url, 'GET /audit/events', { token, ...from('192.0.2.4') });
    let limited = failed;
    for (let n = 0; n < 5; n++)
      limited = await ask(server.url, 'POST /user/signin', { json: wrong, ...from('192.0.2.5') });
    const { userId } = user;
    const expected = [
      [signedUp, 201, 'a user signed up', { level: 'info', address: '192.0.2.1', user: userId }],
      [signedIn, 200, 'a user signed in', { level: 'info', address: '192.0.2.1', user: userId }],
      [failed, 401, 'a sign-in failed', { level: 'warn', address: '2001:db8:0:0:0:0:0:7' }],
      [unknown, 401, 'a token was refused', { level: 'info', address: '192.0.2.3', route: '/user/search' }],
      [forbidden, 403, 'a request was forbidden', { level: 'warn', address: '192.0.2.4', user: userId }],
      [limited, 429, 'too many passwords were tried', { level: 'warn', address: '192.0.2.5' }],
    ] as const;
    for (const [reply, status, msg, facts] of expected) {
      expect(reply.status, msg).to.equal(status);
      const request = reply.headers.get('x-request-id');
      expect(request, msg).to.match(UUID);
      await line(msg, { ...facts, request, status });
    }
  });

  it('has a line of each refused upgrade, refused token, limit and closing for misuse', async () => {
    await start({ RATE_LIMIT: '1:1' });
    const ada = await Newcomer.at(server);
    expect(await refused({ authorization: 'Bearer none', 'x-forwarded-for': '192.0.2.1' })).to.contain('401');
    await line('an upgrade was refused', { level: 'warn', status: 401, address: '192.0.2.1' });
    expect(await refused({ origin: 'https://elsewhere.example', 'x-forwarded-for': '192.0.2.2' })).to.contain(
      '403',
    );
    await line('an upgrade was refused', { level: 'warn', status: 403, address: '192.0.2.2' });

    const stranger = await RawSocket.connect(server.wsUrl, { headers: { 'x-forwarded-for': '192.0.2.3' } });
    await stranger.refusal('identity', { token: 'none' });
    await line('a token was refused', { level: 'info', address: '192.0.2.3' });

    const phone = await ada.device();
    for (let n = 0; n < 1100; n++) phone.send('notify online', {});
    expect(await phone.closed).to.equal(1008);
    await line('a request came too soon', { level: 'warn', user: ada.userId });
    await line('a connection was closed for misuse', { level: 'warn', user: ada.userId, code: 1008 });
  });

  it('has no more lines than these, and no more of them than a disk can take', async () => {
    await start();
    const ada = await Newcomer.at(server);
    const [phone, ben] = [await ada.device(), await Newcomer.at(server)];
    await say(phone, await chatOf(phone, ben), 'a text that is nobody’s business');
    for (let n = 0; n < 150; n++) await ask(server.url, 'GET /user/search?q=bob', { token: `none-${n}` });
    await server.stop();
    const refusals = lines().filter(({ msg }) => msg === 'a token was refused');
    expect(refusals.length).to.be.within(60, 149);
    expect(lines().map(({ msg }) => msg)).to.not.contain.oneOf([
      'a request was answered',
      'a connection was opened',
    ]);
  });

  it('has at `debug` each request, command and connection, and no text, name or token at any level', async () => {
    await start({ LOG_LEVEL: 'trace' });
    const [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    await say(phone, roomId, 'a text that is nobody’s business');
    const found = await ask(server.url, 'GET /user/search?q=newcomer', { token: ada.token });
    await ask(server.url, 'POST /user/signin', {
      json: { username: 'mallory', password: 'a wrong password' },
    });
    phone.socket.close(4000, 'a reason of the client');
    const user = ada.userId;
    const request = found.headers.get('x-request-id');
    const facts = { level: 'debug', user, request, route: '/user/search', status: 200, method: 'GET' };
    await line('a request was answered', facts);
    const { request: upgrade } = await line('a command was answered', {
      event: 'send message',
      outcome: 'ok',
      user,
    });
    await line('a connection was opened', { request: upgrade });
    await line('a connection ended', { request: upgrade, user, code: 4000 });
    await server.stop();
    const secrets = [
      'nobody’s',
      ada.user.username,
      ada.password,
      ada.token,
      ben.token,
      'mallory',
      'a wrong',
      'a reason',
    ];
    for (const secret of secrets) expect(server.log).to.not.contain(secret);
  });

  it('is read by the filter for fail2ban in docs/operations.md', async () => {
    await start();
    const docs = readFileSync(`${repository}/docs/operations.md`, 'utf8');
    const [, pattern = ''] = /^failregex = (.*)$/m.exec(docs) ?? [];
    const filter = new RegExp(pattern.replace('<HOST>', '([^"]+)'));
    const json = { username: 'mallory', password: 'a wrong password' };
    await ask(server.url, 'POST /user/signin', { json, ...from('192.0.2.1') });
    await ask(server.url, 'GET /user/search?q=bob', { token: 'none', ...from('192.0.2.2') });
    await refused({ authorization: 'Bearer none', 'x-forwarded-for': '2001:db8::3' });
    await line('an upgrade was refused', {});
    await server.stop();
    const found = server.log.split('\n').flatMap((text) => filter.exec(text)?.[1] ?? []);
    expect(found).to.deep.equal(['192.0.2.1', '2001:db8:0:0:0:0:0:3']);
  });

  it('names an upgrade by the id of its answer', async () => {
    await start({ LOG_LEVEL: 'debug' });
    const socket = new WebSocket(server.wsUrl);
    const [response] = await once(socket, 'upgrade');
    const request = response.headers['x-request-id'];
    expect(request).to.match(UUID);
    await line('a connection was opened', { request });
    socket.terminate();
  });
});
