import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { createMongoClient } from '../../src/base/mongo.js';
import { type Config, ConfigError, readConfig } from '../../src/base/settings.js';
import { repository } from '../deploy/dockerfile.js';

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;
const key = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');
const mongo = (database: string) => `mongodb://127.0.0.1:27017/${database}`;
const natsServer = (host: string, port: number) => ({ host, port, tls: false, credentials: undefined });

/** One setting: what it accepts at both ends, as it is written and as it is read; and what lies beyond, with the range. */
interface Ends {
  readonly accepted: readonly (readonly [string, unknown])[];
  readonly refused: readonly string[];
  /** Part of the message of each that is refused. */
  readonly range?: string;
}

const same = (...texts: string[]) => texts.map((text) => [text, text] as const);
const numbers = (...ends: number[]) => ends.map((n) => [String(n), n] as const);

const table: { readonly [N in keyof Required<Config>]: Ends } = {
  PORT: {
    accepted: numbers(0, 65_535),
    refused: ['-1', '65536', 'http', '1.5', '1e3', '9'.repeat(400)],
    range: 'from 0 to 65535',
  },
  GROUP_SIZE: { accepted: numbers(2, 1000), refused: ['1', '1001', '-2', 'all'], range: 'from 2 to 1000' },
  // Whether there is such an address is known when the server listens.
  HOST: { accepted: same('::', 'chat.example.org'), refused: [] },
  METRICS_PORT: {
    accepted: numbers(0, 65_535),
    refused: ['-1', '65536', '9464/tcp'],
    range: 'from 0 to 65535',
  },
  // Its length is checked with the control socket, and its state when it is opened.
  DATA_DIR: { accepted: same('d', '/var/lib/parley'), refused: [] },
  MASTER_KEY: {
    accepted: [[key(32), Buffer.alloc(32, 7)]],
    refused: ['secret', key(31), key(33), `${key(32)} `, randomBytes(32).toString('hex')],
    range: '32 bytes in base64',
  },
  MONGO_URL: {
    accepted: same(
      mongo('p'),
      mongo('p'.repeat(57)),
      `${mongo('parley')}?replicaSet=rs0`,
      'mongodb+srv://user:secret%2F@cluster.example/parley',
      'mongodb://a:1,b:2,[::1]:3/parley',
    ),
    refused: [
      ...[mongo(''), 'mongodb://127.0.0.1', 'mongodb://127.0.0.1?replicaSet=rs0', 'mongodb://a/?w=majority'],
      ...[mongo('p'.repeat(58)), mongo('admin'), mongo('local'), mongo('config'), mongo('a.b'), mongo('a/b')],
      ...[mongo('%'), mongo('a%00'), mongo('a%20b'), 'mongodb:///parley', 'http://127.0.0.1/parley'],
    ],
    range: 'mongodb://',
  },
  NATS_URL: {
    accepted: [
      ['nats://a:1', [natsServer('a', 1)]],
      ['nats://a:65535,nats://[::1]', [natsServer('a', 65_535), natsServer('::1', 4222)]],
    ],
    refused: [
      '127.0.0.1:4222',
      'http://127.0.0.1:4222',
      'nats://',
      'nats://a:0',
      'nats://a:65536',
      'nats://a,',
    ],
    range: 'nats:// or tls://',
  },
  PARTITIONS: { accepted: numbers(1, 64), refused: ['0', '65', '1.5', 'many'], range: 'from 1 to 64' },
  ALLOWED_ORIGINS: {
    accepted: [
      ['https://CHAT.example:443', ['https://chat.example']],
      ['capacitor://localhost, http://a:65535', ['capacitor://localhost', 'http://a:65535']],
    ],
    refused: ['*', 'null', 'chat.example', 'https://chat.example/path', 'https://a:65536', 'https://a,'],
    range: 'https://chat.example.org',
  },
  HOOK_SEND: {
    accepted: [['https://host.example/hook', 'https://host.example/hook']],
    refused: ['host.example', 'ftp://host.example', 'https://'],
    range: 'https://',
  },
  HOOK_SECRET: {
    accepted: [[`whsec_${key(24)}`, `whsec_${key(24)}`]],
    refused: ['secret', `whsec_${key(23)}`, `whsec_${key(65)}`, key(32)],
    range: '24 to 64 bytes',
  },
  HOOK_SEND_FAIL: {
    accepted: [
      ['closed', 'closed'],
      ['open', 'open'],
    ],
    refused: ['Open', 'yes'],
    range: 'closed, open',
  },
  OIDC_ISSUER: {
    accepted: [['https://id.example', 'https://id.example']],
    refused: ['id.example', 'ftp://id.example', 'https://'],
    range: 'https://',
  },
  OIDC_AUDIENCE: { accepted: [['parley', 'parley']], refused: ['x'.repeat(256)] },
  OIDC_CLIENT_ID: { accepted: [['parley', 'parley']], refused: ['x'.repeat(256)] },
  SIGN_UP: {
    accepted: [
      ['open', 'open'],
      ['closed', 'closed'],
      ['external', 'external'],
    ],
    refused: ['Open', 'none'],
    range: 'open, closed, external',
  },
  EGRESS_ALLOW: {
    accepted: [
      ['10.0.0.0/8', [{ address: '10.0.0.0', prefix: 8 }]],
      [
        '127.0.0.1/32, fd00::/8',
        [
          { address: '127.0.0.1', prefix: 32 },
          { address: 'fd00::', prefix: 8 },
        ],
      ],
    ],
    refused: ['10.0.0.0', '10.0.0.0/33', '::/129', 'localhost', '10.0.0.0/8,', '*'],
    range: 'blocks of addresses',
  },
  TRUST_PROXY: { accepted: numbers(0, 32), refused: ['-1', '33', 'yes'], range: 'from 0 to 32' },
  BCRYPT_COST: { accepted: numbers(4, 15), refused: ['3', '16'], range: 'from 4 to 15' },
  SESSION_TTL: {
    accepted: [
      ['1000ms', SECOND_MS],
      ['1s', SECOND_MS],
      ['3650d', 3650 * DAY_MS],
      ['87600h', 3650 * DAY_MS],
    ],
    refused: ['0s', '999ms', '3651d', '99999999999d', `${'9'.repeat(400)}d`, '-1d', '30', '1 d', 'forever'],
    range: 'from 1s to 3650d',
  },
  RATE_LIMIT: {
    accepted: [
      ['1:1', { rate: 1, burst: 1 }],
      ['1000000:1000000', { rate: 1_000_000, burst: 1_000_000 }],
      ['off', 'off'],
    ],
    refused: ['50', 'none', '0:1', '1:0', '1000001:1', '1:1000001', `${'9'.repeat(400)}:1`, '1.5:2', '-1:1'],
    range: 'from 1 to 1000000',
  },
  AUTH_RATE_LIMIT: {
    accepted: [
      ['1:1', { rate: 1, burst: 1 }],
      ['1000000:1000000', { rate: 1_000_000, burst: 1_000_000 }],
      ['off', 'off'],
    ],
    refused: ['0:0', '0:1', '1:0', '1000001:1', '1:999999999999', 'none'],
    range: 'from 1 to 1000000',
  },
  EDIT_WINDOW: {
    accepted: [
      ['0s', 0],
      ['3650d', 3650 * DAY_MS],
      ['any', Number.POSITIVE_INFINITY],
    ],
    refused: ['3651d', '-1s', '10', 'never', 'Any'],
    range: 'from 0s to 3650d, or any',
  },
  DELETE_WINDOW: {
    accepted: [
      ['0s', 0],
      ['any', Number.POSITIVE_INFINITY],
    ],
    refused: ['3651d', '1 h'],
    range: 'from 0s to 3650d, or any',
  },
  PRESENCE_GRACE: {
    accepted: [
      ['0s', 0],
      ['0.5ms', 0.5],
      ['30d', 30 * DAY_MS],
    ],
    refused: ['-1s', '31d', '2592000001ms', `${'9'.repeat(400)}d`, '10'],
    range: 'from 0s to 30d',
  },
  CONTACTS: { accepted: same('open', 'consent'), refused: ['closed', 'Open'], range: 'open, consent' },
  LOG_ORIGIN: {
    accepted: same('p', 'p'.repeat(128), 'chat.example.org/log'),
    refused: ['p'.repeat(129), 'a b', 'a+b', 'a\nb'],
    range: '1 to 128 characters',
  },
  LOG_LEVEL: { accepted: same('fatal', 'trace', 'silent'), refused: ['loud', 'INFO'], range: 'silent' },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    accepted: same('http://127.0.0.1:4318', 'https://collector.example/otlp'),
    refused: ['127.0.0.1:4318', 'grpc://a:4317', 'http://'],
    range: 'http:// or https://',
  },
  OTEL_TRACES_SAMPLER_ARG: {
    accepted: [
      ['0', 0],
      ['0.25', 0.25],
      ['1', 1],
    ],
    refused: ['1.01', '-1', 'some', '5%'],
    range: 'from 0 to 1',
  },
  LOG_FORMAT: { accepted: same('json', 'pretty'), refused: ['JSON', 'text'], range: 'json, pretty' },
};

/** NATS needs a shared log, an issuer an audience, and a hook a secret. */
const beside = (name: string): NodeJS.ProcessEnv => {
  if (name === 'NATS_URL') return { MONGO_URL: mongo('parley') };
  if (name === 'HOOK_SEND') return { HOOK_SECRET: `whsec_${key(32)}` };
  if (name === 'OIDC_ISSUER') return { OIDC_AUDIENCE: 'parley' };
  return name.startsWith('OIDC_') ? { OIDC_ISSUER: 'https://id.example', OIDC_AUDIENCE: 'parley' } : {};
};

describe('each setting', () => {
  it('is in the table of this test', () => {
    const listed = Array.from(
      readFileSync(`${repository}/.env.example`, 'utf8').matchAll(/^#([A-Z_]+)=/gm),
      ([, name]) => name,
    );
    expect(Object.keys(table)).to.have.members(listed);
  });

  for (const [name, { accepted, refused, range = '' }] of Object.entries(table)) {
    it(`is read at both ends of its range: ${name}`, () => {
      for (const [text, value] of accepted)
        expect(readConfig({ ...beside(name), [name]: text }), text).to.deep.include({ [name]: value });
    });

    if (refused.length > 0)
      it(`is refused beyond them, in one line with its name and range: ${name}`, () => {
        for (const text of refused) {
          const read = () => readConfig({ ...beside(name), [name]: text });
          expect(read, text.slice(0, 60)).to.throw(ConfigError, new RegExp(`^${name}: [^\n]+$`));
          expect(read, text.slice(0, 60)).to.throw(range);
        }
      });

    it(`is unset when it is empty: ${name}`, () => {
      expect(readConfig({ [name]: '' })).to.deep.equal(readConfig({}));
    });
  }

  it('that needs another one says so: NATS_URL', () => {
    expect(() => readConfig({ NATS_URL: 'nats://127.0.0.1:4222' })).to.throw(ConfigError, /^NATS_URL: .+$/);
  });

  it('that needs another one says so: HOOK_SEND', () => {
    expect(() => readConfig({ HOOK_SEND: 'https://host.example' })).to.throw(ConfigError, /^HOOK_SEND: .+$/);
  });

  it('that takes the place of another one says so: METRICS_PORT', () => {
    expect(() => readConfig({ METRICS_PORT: '3000' })).to.throw(ConfigError, /^METRICS_PORT: .+PORT.+3000$/);
    expect(readConfig({ PORT: '0', METRICS_PORT: '0' })).to.include({ METRICS_PORT: 0 });
  });

  it('is refused with its name where only the driver knows the range: MONGO_URL', () => {
    for (const end of ['?replicaset=rs0&nonsense=1', '?w=majority&maxPoolSize=x', '?authMechanism=PLAIN'])
      expect(() => createMongoClient(mongo(`parley${end}`), { socketTimeoutMs: 1000 }), end).to.throw(
        ConfigError,
        /^MONGO_URL: [^\n]+$/,
      );
  });
});
