import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { ConfigError, readConfig } from '../../src/base/settings.js';

describe('a bad setting', () => {
  const bad: [string, ...string[]][] = [
    ['PORT', 'http', '65536', '-1'],
    ['MASTER_KEY', 'secret', randomBytes(31).toString('base64')],
    ['MONGO_URL', 'http://127.0.0.1/parley'],
    ['NATS_URL', 'nats://127.0.0.1:4222', '127.0.0.1:4222', 'http://127.0.0.1:4222'],
    ['PARTITIONS', '0', '65', '1.5'],
    ['ALLOWED_ORIGINS', 'chat.example', 'https://chat.example/path'],
    ['TRUST_PROXY', 'yes'],
    ['BCRYPT_COST', '3', '16'],
    ['SESSION_TTL', '30', '1 d', 'forever'],
    ['RATE_LIMIT', '50', 'none'],
    ['AUTH_RATE_LIMIT', '0:0'],
    ['PRESENCE_GRACE', '-1s'],
    ['LOG_LEVEL', 'loud'],
  ];
  for (const [name, ...values] of bad)
    for (const value of values)
      it(`is refused in one line that names it: ${name}=${name === 'MASTER_KEY' ? '…' : value}`, () => {
        expect(() => readConfig({ [name]: value })).to.throw(ConfigError, new RegExp(`^${name}: .+$`));
      });
});
