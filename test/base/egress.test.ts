import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import {
  type Cidr,
  Egress,
  EgressFailed,
  EgressRefused,
  isPublicAddress,
  parseCidr,
  type ResolvedAddress,
} from '../../src/base/egress.js';

const GET = { method: 'GET', timeoutMs: 5000, maxBytes: 1000 } as const;
const LOOPBACK: Cidr = { address: '127.0.0.0', prefix: 8 };
const ipv4 = (address: string): ResolvedAddress => ({ address, family: 4 });

/** The error that the work rejects with. */
const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('the addresses that this server asks', () => {
  it('are public ones, and none of the special-purpose ranges', () => {
    const special = [
      ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.0.1'],
      ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.8', '192.0.2.1', '192.31.196.1'],
      ...['192.52.193.1', '192.88.99.1', '192.168.0.1', '192.175.48.1', '198.18.0.1', '198.19.255.255'],
      ...['198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
      ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:10.0.0.1'],
      ...['::ffff:169.254.169.254', '64:ff9b::7f00:1', '64:ff9b:1::1', '100::1', '2001::1', '2001:1::1'],
      ...['2001:2::1', '2001:20::1', '2001:db8::1', '2002:7f00:1::1', '2620:4f:8000::1', '3fff::1'],
      ...['5f00::1', 'fc00::1', 'fdff::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', 'no address'],
    ];
    expect(special.filter(isPublicAddress)).to.deep.equal([]);
    const open = [
      '1.1.1.1',
      '9.255.255.255',
      '11.0.0.1',
      '100.63.0.1',
      '126.0.0.1',
      '128.0.0.1',
      '172.15.0.1',
    ];
    const openIpv6 = ['172.32.0.1', '223.255.255.255', '2606:4700::1', '2a00:1450::1', '::ffff:1.1.1.1'];
    expect([...open, ...openIpv6].filter((address) => !isPublicAddress(address))).to.deep.equal([]);
  });

  it('are https, have no credentials in them, and are no private address however it is written', () => {
    const egress = new Egress([]);
    for (const url of [
      ...[
        'no url',
        'ftp://example.org/',
        'file:///etc/passwd',
        'https://a:b@example.org/',
        'http://1.1.1.1/',
      ],
      ...['https://a@example.org/', 'https://127.0.0.1/', 'https://0x7f.1/', 'https://2130706433/'],
      ...['https://0177.0.0.1/', 'https://[::1]/', 'https://[::ffff:10.0.0.1]/', 'https://169.254.169.254/'],
    ])
      expect(egress.findFault(url), url).to.be.a('string');
    for (const url of ['https://example.org/hook', 'https://1.1.1.1:8443/', 'https://[2606:4700::1]/'])
      expect(egress.findFault(url), url).to.equal(undefined);
  });

  it('are those of the setting too, by http as well', () => {
    const egress = new Egress([LOOPBACK, { address: 'fd00::', prefix: 8 }]);
    for (const url of [
      'http://127.0.0.1:1/',
      'https://127.9.9.9/',
      'http://[::ffff:127.0.0.1]/',
      'http://[fd00::1]/',
    ])
      expect(egress.findFault(url), url).to.equal(undefined);
    for (const url of ['http://10.0.0.1/', 'http://[::1]/', 'http://a:b@127.0.0.1/', 'http://[fc00::1]/'])
      expect(egress.findFault(url), url).to.be.a('string');
  });

  it('are parsed as blocks of addresses', () => {
    expect(parseCidr('10.0.0.0/8')).to.deep.equal({ address: '10.0.0.0', prefix: 8 });
    expect(parseCidr('::1/128')).to.deep.equal({ address: '::1', prefix: 128 });
    for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '::1/129', 'localhost/8', '/8', '1.1.1.1/-1'])
      expect(parseCidr(text), text).to.equal(undefined);
  });
});

describe('a request to an address that somebody named', () => {
  let server: Server;
  let port = 0;
  const asked: string[] = [];

  before(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.headers.host}${request.url}`);
      if (request.url === '/away') response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      else if (request.url === '/large') response.end('x'.repeat(2000));
      else if (request.url !== '/silent') response.end('answer');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port; // It listens on a port.
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => asked.splice(0));

  const resolvingTo = (...addresses: string[]) => new Egress([LOOPBACK], async () => addresses.map(ipv4));

  it('goes to the address of its name, with the name as the host', async () => {
    const { status, body } = await resolvingTo('127.0.0.1').request(`http://hook.test:${port}/a?b`, GET);
    expect([status, body]).to.deep.equal([200, 'answer']);
    expect(asked).to.deep.equal([`GET hook.test:${port}/a?b`]);
  });

  it('is not sent to a name that resolves to a private address', async () => {
    const egress = new Egress([], async () => [
      ipv4('127.0.0.1'),
      { address: '::ffff:127.0.0.1', family: 6 },
    ]);
    const url = `https://hook.test:${port}/`;
    expect(await errorOf(egress.request(url, GET))).to.be.instanceOf(EgressRefused);
    expect(await egress.check(url)).to.be.a('string');
    expect(asked).to.deep.equal([]);
  });

  it('goes to the permitted addresses of its name alone', async () => {
    const { body } = await resolvingTo('10.0.0.1', '127.0.0.1').request(`http://hook.test:${port}/`, GET);
    expect(body).to.equal('answer');
  });

  it('resolves its name once: a second answer of the resolver is not asked for', async () => {
    let times = 0;
    const egress = new Egress([LOOPBACK], async () => [ipv4(++times === 1 ? '127.0.0.1' : '10.0.0.1')]);
    await egress.request(`http://hook.test:${port}/`, GET);
    expect(times).to.equal(1);
    expect(await errorOf(egress.request(`http://hook.test:${port}/`, GET))).to.be.instanceOf(EgressRefused);
  });

  it('follows no redirect', async () => {
    const { status, headers } = await resolvingTo('127.0.0.1').request(`http://hook.test:${port}/away`, GET);
    expect([status, headers.location]).to.deep.equal([302, 'http://127.0.0.1:1/']);
    expect(asked).to.have.length(1);
  });

  it('sends a body', async () => {
    const { status } = await resolvingTo('127.0.0.1').request(`http://hook.test:${port}/`, {
      ...{ ...GET, method: 'POST' as const },
      body: 'é',
    });
    expect(status).to.equal(200);
  });

  it('fails for an answer that is too large, that is late, or that nobody gives', async () => {
    const egress = resolvingTo('127.0.0.1');
    const ask = (path: string, timeoutMs: number) =>
      errorOf(egress.request(`http://hook.test:${port}${path}`, { ...GET, timeoutMs }));
    expect(await ask('/large', 5000)).to.be.instanceOf(EgressFailed);
    expect(await ask('/silent', 50)).to.be.instanceOf(EgressFailed);
    const unresolved = new Egress([LOOPBACK], async () => Promise.reject(new Error('no such name')));
    expect(await errorOf(unresolved.request('http://hook.test/', GET))).to.be.instanceOf(EgressFailed);
    expect(await unresolved.check('https://hook.test/')).to.equal(undefined);
    expect(await unresolved.check('http://hook.test/'), 'only its address could permit it').to.be.a('string');
  });

  it('ends when its caller ends it', async () => {
    const ended = AbortSignal.abort();
    const asking = resolvingTo('127.0.0.1').request(`http://hook.test:${port}/`, { ...GET, signal: ended });
    expect(await errorOf(asking)).to.be.instanceOf(EgressFailed);
  });
});
