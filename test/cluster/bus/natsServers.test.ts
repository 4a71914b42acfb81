import { expect } from 'chai';
import { parseNatsServers } from '../../../src/base/settings.js';

describe('the servers in NATS_URL', () => {
  it('may be several, each with its own credentials, or none', () => {
    const plain = { tls: false, credentials: undefined };
    expect(
      parseNatsServers('nats://a.example, tls://ada:pa%2Css%40@b.example:5222,nats://t%3Aoken@[::1]:1'),
    ).to.deep.equal([
      { ...plain, host: 'a.example', port: 4222 },
      { host: 'b.example', port: 5222, tls: true, credentials: { user: 'ada', pass: 'pa,ss@' } },
      { ...plain, host: '::1', port: 1, credentials: { token: 't:oken' } },
    ]);
    expect(parseNatsServers('nats://127.0.0.1/')).to.deep.equal([
      { ...plain, host: '127.0.0.1', port: 4222 },
    ]);
  });

  it('are refused as a whole if one is invalid', () => {
    const bad = [
      '',
      'a.example',
      'http://a.example',
      'nats://',
      'nats://a,',
      'nats://a/path',
      'nats://a?tls',
      'nats://%ff@a',
      'nats://a:x',
    ];
    for (const list of bad) expect(parseNatsServers(list), list).to.equal(undefined);
  });
});
