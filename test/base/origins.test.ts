import { expect } from 'chai';
import { normalizeOrigin, Origins } from '../../src/base/origins.js';
import { readConfig } from '../../src/base/settings.js';

describe('an origin', () => {
  it('has one form, whatever its case and with or without its default port', () => {
    const forms: [string, string][] = [
      ['HTTPS://Chat.Example:443', 'https://chat.example'],
      ['http://chat.example:80', 'http://chat.example'],
      ['http://chat.example:443', 'http://chat.example:443'],
      ['https://[2001:DB8::1]:443', 'https://[2001:db8::1]'],
      ['capacitor://LocalHost', 'capacitor://localhost'],
      ['app://local:80', 'app://local:80'],
    ];
    for (const [text, form] of forms) expect(normalizeOrigin(text), text).to.equal(form);
  });

  it('is no other text', () => {
    for (const text of [
      'null',
      '',
      '*',
      'chat.example',
      'https://',
      'https://a/',
      'https://a/b',
      'https://u@a',
    ])
      expect(normalizeOrigin(text), text).to.equal(undefined);
    for (const text of [
      'https://a?b',
      'https://a#b',
      'https://a b',
      'data:text/html,x',
      'https://a, https://b',
    ])
      expect(normalizeOrigin(text), text).to.equal(undefined);
  });
});

describe('the pages that may use the server', () => {
  const allows = (env: Record<string, string>, headers: Record<string, string>): boolean =>
    new Origins(readConfig(env)).isAllowed(headers);

  it('are those of its own host, whatever the case and the default port', () => {
    const own: [string, string][] = [
      ['http://chat.example', 'chat.example'],
      ['https://chat.example', 'CHAT.example'],
      ['https://chat.example', 'chat.example:443'],
      ['http://chat.example', 'chat.example:80'],
      ['http://127.0.0.1:3000', '127.0.0.1:3000'],
      ['http://[::1]:3000', '[::1]:3000'],
    ];
    for (const [origin, host] of own)
      expect(allows({}, { origin, host }), `${origin} at ${host}`).to.equal(true);
  });

  it('are none of another host, port or scheme', () => {
    const others: [string, string][] = [
      ['https://elsewhere.example', 'chat.example'],
      ['https://a.chat.example', 'chat.example'],
      ['https://chat.example:8443', 'chat.example'],
      ['http://chat.example:443', 'chat.example'],
      ['http://chat.example', 'chat.example:443'],
      ['capacitor://chat.example', 'chat.example'],
      ['ftp://chat.example', 'chat.example'],
      ['null', 'null'],
      ['null', 'chat.example'],
      ['https://chat.example@elsewhere.example', 'elsewhere.example'],
    ];
    for (const [origin, host] of others)
      expect(allows({}, { origin, host }), `${origin} at ${host}`).to.equal(false);
    expect(allows({}, { origin: 'http://chat.example' }), 'without a host').to.equal(false);
  });

  it('are those of ALLOWED_ORIGINS too, compared whole, beside the own host', () => {
    const env = { ALLOWED_ORIGINS: 'HTTPS://Partner.example:443, capacitor://localhost' };
    const host = 'chat.example';
    for (const origin of ['https://partner.example', 'capacitor://localhost', 'https://chat.example'])
      expect(allows(env, { origin, host }), origin).to.equal(true);
    for (const origin of ['http://partner.example', 'https://localhost', 'capacitor://partner.example'])
      expect(allows(env, { origin, host }), origin).to.equal(false);
  });

  it('have the scheme that a trusted proxy names, and none that a client names', () => {
    const host = 'chat.example';
    const http = { host, origin: 'http://chat.example' };
    const https = { host, origin: 'https://chat.example' };
    const through = (proto: string) => ({ 'x-forwarded-proto': proto });
    const one = { TRUST_PROXY: '1' };
    expect(allows(one, { ...https, ...through('https') })).to.equal(true);
    expect(allows(one, { ...http, ...through('https') })).to.equal(false);
    expect(allows(one, { ...http, ...through('https, http') })).to.equal(true);
    expect(allows({ TRUST_PROXY: '2' }, { ...https, ...through('WSS, http') })).to.equal(true);
    expect(allows(one, { ...http, ...through('gopher') }), 'a scheme that is unknown says nothing').to.equal(
      true,
    );
    expect(allows({}, { ...http, ...through('https') }), 'no proxy is trusted').to.equal(true);
  });

  it('are not asked for where no browser asks', () => {
    expect(allows({}, { host: 'chat.example' })).to.equal(true);
  });
});
