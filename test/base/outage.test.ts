import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { MongoClient } from 'mongodb';
import { isOutage, VaultUnavailable } from '../../src/base/errors.js';

describe('an outage of a store', () => {
  it('is a refused connection, a missing answer, or an error of the vault', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo; // A TCP server's address is an `AddressInfo`.
    for (const [where, options] of [
      ['127.0.0.1:1', { serverSelectionTimeoutMS: 50 }],
      [`127.0.0.1:${port}`, { serverSelectionTimeoutMS: 50, connectTimeoutMS: 50 }],
    ] as const) {
      const client = new MongoClient(`mongodb://${where}/`, options);
      const error: unknown = await client
        .db('x')
        .command({ ping: 1 })
        .catch((cause: unknown) => cause);
      expect(isOutage(error), String(error)).to.equal(true);
      await client.close();
    }
    silent.close();
    expect(isOutage(new VaultUnavailable('gone'))).to.equal(true);
  });

  it('is a broken socket, whose system error the driver passes on', () => {
    const error = Object.assign(new Error('This socket has been ended by the other party'), {
      code: 'EPIPE',
    });
    expect(isOutage(error)).to.equal(true);
  });

  it('is not an error of this program', () => {
    expect(isOutage(new TypeError('x is not a function'))).to.equal(false);
    expect(isOutage(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).to.equal(false);
    expect(isOutage('a text')).to.equal(false);
  });
});
