import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import { ParleyError } from '../../src/base/errors.js';
import { networkOf } from '../../src/base/origins.js';
import { createMemoryAttemptLimit } from '../../src/base/rateLimits.js';
import { paths } from '../../src/http/documents/routes.js';
import { eventually } from '../support/eventually.js';
import { ask, type FakeTarget, type Reply, startHttp } from '../support/http.js';

const password = 'a mild autumn evening';
const wrongPassword = 'a wet autumn evening';

describe('the limit of requests that check a password', () => {
  let target: FakeTarget;
  let time = 0;
  let names = 0;
  const start = async (burst = 3): Promise<void> => {
    target = await startHttp(() => ({
      attemptLimit: createMemoryAttemptLimit({ rate: 10, burst }, () => time),
      trustedProxies: 1,
    }));
  };
  beforeEach(() => start());
  afterEach(() => target.close());

  const request = (what: string, from: string, json: object, token?: string): Promise<Reply> =>
    ask(target.url, what, {
      ...{ json, headers: { 'x-forwarded-for': from } },
      ...(token === undefined ? {} : { token }),
    });
  const signIn = (from: string, username = `nobody-${names++}`, secret = wrongPassword) =>
    request('POST /user/signin', from, { username, password: secret });
  const statusesOf = async (replies: readonly Promise<Reply>[]): Promise<number[]> =>
    (await Promise.all(replies)).map(({ status }) => status);
  const inTurn = async (from: readonly string[], username?: string): Promise<number[]> => {
    const all: number[] = [];
    for (const address of from) all.push((await signIn(address, username)).status);
    return all;
  };

  it('refuses an address beyond the burst, with the time to wait, and accepts it again after that', async () => {
    const own = '127.0.0.1';
    expect(await inTurn([own, own, own])).to.deep.equal([401, 401, 401]);
    const refused = await ask(target.url, 'POST /user/', { raw: 'not even read' });
    expect([refused.status, refused.body.code, refused.body.retryAfterMs]).to.deep.equal([
      429,
      'rate_limited',
      6000,
    ]);
    expect(refused.headers.get('retry-after')).to.equal('6');
    time += 6000;
    expect(await inTurn([own, own])).to.deep.equal([401, 429]);
    expect((await ask(target.url, 'GET /health')).status).to.equal(200);
  });

  it('counts for the address that the trusted proxy saw, whatever the client wrote before it', async () => {
    expect(
      await inTurn(['1.1.1.1, 9.9.9.9', '2.2.2.2, 9.9.9.9', '9.9.9.9', '3.3.3.3, 9.9.9.9']),
    ).to.deep.equal([401, 401, 401, 429]);
    expect(await inTurn(['9.9.9.8'])).to.deep.equal([401]);
  });

  it('counts for the user too, from whatever address, in any case, and whether there is one or not', async () => {
    await request('POST /user/', '10.0.0.9', { username: 'Somebody', password });
    expect(await inTurn(['10.0.0.1', '10.0.0.2', '10.0.0.3'], 'someBODY')).to.deep.equal([401, 401, 429]);
    expect((await signIn('10.0.0.4', 'Somebody', password)).status, 'the right one too').to.equal(429);
    const from = [1, 2, 3, 4].map((n) => `10.0.1.${n}`);
    expect(await inTurn(from, 'no-such-user')).to.deep.equal([401, 401, 401, 429]);
    time += 6000;
    expect((await signIn('10.0.0.5', 'Somebody', password)).status).to.equal(200);
  });

  it('counts changes of a password and erasures, of the address and of the user', async () => {
    const username = 'Somebody';
    await request('POST /user/', '10.0.0.1', { username, password });
    const { token, user } = (await signIn('10.0.0.2', username, password)).body;
    const change = (from: string) =>
      request('PUT /user/password', from, { password: wrongPassword, newPassword: password }, token);
    const erase = (from: string) =>
      request(`DELETE /user/${user.userId}`, from, { password: wrongPassword }, token);
    expect(await statusesOf([change('10.0.0.3')])).to.deep.equal([403]);
    expect(await statusesOf([change('10.0.0.4')]), 'the user').to.deep.equal([429]);
    expect(await statusesOf([erase('10.0.0.5')]), 'the user').to.deep.equal([429]);
    time += 60_000;
    await inTurn(['10.0.0.6', '10.0.0.6', '10.0.0.6']);
    expect(await statusesOf([change('10.0.0.6'), erase('10.0.0.6')]), 'the address').to.deep.equal([
      429, 429,
    ]);
    expect(await statusesOf([erase('10.0.0.7')])).to.deep.equal([403]);
  });

  describe('under way', () => {
    const opened: (() => void)[] = [];
    const answerAll = () => {
      for (const open of opened.splice(0)) open();
    };
    const underWay = (n: number) => eventually(`${n} checks are under way`, async () => opened.length === n);
    beforeEach(async () => {
      await target.close();
      await start(100);
      target.passwords.verify = async () => {
        await new Promise<void>((resolve) => opened.push(resolve));
        return false;
      };
    });
    afterEach(answerAll);

    it('is one of a user: a second one is rate_limited, from wherever it comes', async () => {
      const first = signIn('10.0.0.1', 'Somebody');
      await underWay(1);
      const second = await signIn('10.0.0.2', 'somebody');
      expect([second.status, second.body.code]).to.deep.equal([429, 'rate_limited']);
      expect(Number(second.headers.get('retry-after'))).to.be.above(0);
      answerAll();
      expect((await first).status).to.equal(401);
      const third = signIn('10.0.0.2', 'somebody');
      await underWay(1);
      answerAll();
      expect((await third).status).to.equal(401);
    });

    it('is four of an address, so that others find a place', async () => {
      const four = [1, 2, 3, 4].map(() => signIn('10.0.0.1'));
      await underWay(4);
      expect(await statusesOf([signIn('10.0.0.1'), signIn('10.0.0.1')])).to.deep.equal([429, 429]);
      const other = signIn('10.0.0.2');
      await underWay(5);
      answerAll();
      expect(await statusesOf([...four, other])).to.deep.equal([401, 401, 401, 401, 401]);
      const next = [1, 2, 3, 4].map(() => signIn('10.0.0.1'));
      await underWay(4);
      answerAll();
      expect(await statusesOf(next)).to.deep.equal([401, 401, 401, 401]);
    });
  });
});

describe('requests that check a password while their limit cannot be read', () => {
  it('are answered as overloaded, and the cause is logged', async () => {
    const take = () => Promise.reject(new Error('no answer from the database'));
    const target = await startHttp(() => ({ attemptLimit: { take } }));
    const json = { username: 'nobody', password: 'x' };
    for (const path of ['/user/', '/user/signin']) {
      const refused = await ask(target.url, `POST ${path}`, { json });
      expect([refused.status, refused.body.code]).to.deep.equal([503, 'overloaded']);
      expect(refused.headers.get('retry-after')).to.equal('1');
    }
    await target.close();
    expect(JSON.stringify(target.logged)).to.contain('no answer from the database');
  });
});

describe('the address of a request', () => {
  const of = (peer: string, trusted: number, forwarded?: string): string => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    // All that is read of a request.
    return networkOf({ socket: { remoteAddress: peer }, headers } as IncomingMessage, trusted);
  };

  it('is the peer’s if no proxy is trusted, or none set the header', () => {
    expect(of('10.0.0.1', 0, '1.2.3.4')).to.equal('10.0.0.1');
    expect(of('10.0.0.1', 2)).to.equal('10.0.0.1');
    expect(of('10.0.0.1', 1, 'unknown')).to.equal('10.0.0.1');
  });

  it('is the n-th from the right behind n proxies', () => {
    expect(of('10.0.0.1', 1, '6.6.6.6, 1.2.3.4')).to.equal('1.2.3.4');
    expect(of('10.0.0.1', 2, '6.6.6.6,1.2.3.4 , 10.0.0.2')).to.equal('1.2.3.4');
    expect(of('10.0.0.1', 3, '1.2.3.4, 10.0.0.2')).to.equal('1.2.3.4');
  });

  it('is the same however IPv4 is written, and the /64 of IPv6', () => {
    expect(of('::ffff:1.2.3.4', 0)).to.equal('1.2.3.4');
    expect(of('2001:db8:0:7::1', 0)).to.equal('2001:db8:0:7');
    expect(of('2001:0DB8::7:1:2:3:4', 0)).to.equal('2001:db8:0:7');
    expect(of('2001:db8::1', 0)).to.equal('2001:db8:0:0');
    expect(of('::1', 0)).to.equal('0:0:0:0');
    expect(of('fe80::1%eth0', 0)).to.equal('fe80:0:0:0');
    expect(of('::ffff:102:304', 0), 'IPv4 in hexadecimal digits').to.equal('1.2.3.4');
    expect(of('64:ff9b::1.2.3.4', 0), 'IPv4 behind a translator (NAT64)').to.equal('1.2.3.4');
    expect(of('64:ff9b::102:304', 0)).to.equal('1.2.3.4');
    expect(of('2001:db8:0:7:1:2:1.2.3.4', 0)).to.equal('2001:db8:0:7');
  });

  it('is the same whether a proxy writes a port, brackets or quotes', () => {
    for (const form of ['1.2.3.4', '1.2.3.4:5678', '"1.2.3.4:5678"', '[::ffff:1.2.3.4]:5678'])
      expect(of('10.0.0.1', 1, form), form).to.equal('1.2.3.4');
    for (const form of [
      '2001:db8:0:7::1',
      '[2001:db8:0:7::1]',
      '[2001:DB8:0:7::1]:443',
      '"[2001:db8:0:7::1]:443"',
    ])
      expect(of('10.0.0.1', 1, form), form).to.equal('2001:db8:0:7');
  });

  it('is the text itself where a proxy writes another form, so that clients do not share one limit', () => {
    expect(of('10.0.0.1', 1, '_hidden7'))
      .to.equal('_hidden7')
      .and.not.equal(of('10.0.0.1', 1, '_hidden8'));
    expect(of('10.0.0.1', 1, '300.1.1.1:80')).to.equal('300.1.1.1');
    const long = (last: string) => of('10.0.0.1', 1, `_${'x'.repeat(9000)}${last}`);
    expect(long('1')).to.have.length.of.at.most(64).and.equal(long('1')).and.not.equal(long('2'));
  });

  it('is the same for every port behind an IPv6 address without brackets', () => {
    for (const port of [1024, 65535]) {
      expect(of('10.0.0.1', 1, `2001:db8:0:7:1:2:3:4:${port}`)).to.equal('2001:db8:0:7');
      expect(of('10.0.0.1', 1, `2001:db8:0:7::1:${port}`)).to.equal('2001:db8:0:7');
      expect(of('10.0.0.1', 1, `::ffff:1.2.3.4:${port}`)).to.equal('1.2.3.4');
    }
  });
});

describe('the limit of a user’s requests', () => {
  /** A user whose next requests are refused, and the users that were asked about. */
  async function start() {
    const asked: string[] = [];
    const refusal = new ParleyError('rate_limited', 'too many requests', { retryAfterMs: 20 });
    const target = await startHttp(() => ({
      checkRequest(userId) {
        asked.push(userId);
        return refusal;
      },
    }));
    const name = `limited-${randomUUID().slice(0, 8)}`;
    await ask(target.url, 'POST /user/', { json: { username: name, password } });
    const { body } = await ask(target.url, 'POST /user/signin', { json: { username: name, password } });
    return { target, asked, token: body.token, userId: body.user.userId };
  }

  /** Every request of the documents that needs a session: method and path. */
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { open, key }]) =>
      open || key ? [] : [[method.toUpperCase(), path.replace(/\{\w+\}/g, randomUUID())] as const],
    ),
  );

  it('holds for each request over REST that may change something, and for none that only reads', async () => {
    const { target, asked, token, userId } = await start();
    try {
      for (const [method, path] of documented) {
        asked.length = 0;
        const isReading = method === 'GET';
        const reply = await ask(target.url, `${method} ${path}`, { token });
        expect([reply.status === 429, asked], `${method} ${path}`).to.deep.equal(
          isReading ? [false, []] : [true, [userId]],
        );
        if (isReading) continue;
        expect(reply.body).to.include({ code: 'rate_limited', retryAfterMs: 20 });
        expect(reply.headers.get('retry-after')).to.equal('1');
      }
      expect(documented.map(([method]) => method)).to.include.members(['GET', 'PATCH', 'PUT', 'DELETE']);
      expect(target.logged.map(({ msg }) => msg)).to.include('a request came too soon');
    } finally {
      await target.close();
    }
  });
});
