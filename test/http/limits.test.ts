import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import { createMemoryAddressLimit } from '../../src/base/rateLimits.js';
import { addressOf } from '../../src/http/auth.js';
import { ask, type FakeTarget, startHttp } from '../support/http.js';

describe('the limit of sign-ups and sign-ins of one address', () => {
  let target: FakeTarget;
  let time = 0;
  const start = async (trustedProxies: number): Promise<void> => {
    target = await startHttp(() => ({
      addressLimit: createMemoryAddressLimit({ rate: 10, burst: 3 }, () => time),
      trustedProxies,
    }));
  };
  afterEach(() => target.close());
  const json = { username: 'nobody', password: 'x' };
  const statuses = async (from: readonly string[]): Promise<number[]> => {
    const all: number[] = [];
    for (const address of from) {
      const headers = { 'x-forwarded-for': address };
      all.push((await ask(target.url, 'POST /user/signin', { json, headers })).status);
    }
    return all;
  };

  it('refuses beyond the burst, with the time to wait, and accepts again after it', async () => {
    await start(0);
    expect(await statuses(['a', 'b', 'c'])).to.deep.equal([401, 401, 401]);
    const refused = await ask(target.url, 'POST /user/', { raw: 'not even read' });
    expect([refused.status, refused.body.code, refused.body.retryAfterMs]).to.deep.equal([
      429,
      'rate_limited',
      6000,
    ]);
    expect(refused.headers.get('retry-after')).to.equal('6');
    time += 6000;
    expect(await statuses(['a', 'a'])).to.deep.equal([401, 429]);
    expect((await ask(target.url, 'GET /health')).status).to.equal(200);
  });

  it('counts for the address that the trusted proxy saw, whatever the client wrote before it', async () => {
    await start(1);
    expect(
      await statuses(['1.1.1.1, 9.9.9.9', '2.2.2.2, 9.9.9.9', '9.9.9.9', '3.3.3.3, 9.9.9.9']),
    ).to.deep.equal([401, 401, 401, 429]);
    expect(await statuses(['9.9.9.8'])).to.deep.equal([401]);
  });
});

describe('sign-ups and sign-ins while their limit cannot be read', () => {
  it('are answered as overloaded, and the cause is logged', async () => {
    const take = () => Promise.reject(new Error('no answer from the database'));
    const target = await startHttp(() => ({ addressLimit: { take } }));
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
    return addressOf({ socket: { remoteAddress: peer }, headers } as IncomingMessage, trusted);
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
    expect(of('10.0.0.1', 1, `_${'x'.repeat(9000)}`)).to.have.length.of.at.most(64);
  });
});
