import { once } from 'node:events';
import { expect } from 'chai';
import { MongoNetworkTimeoutError } from 'mongodb';
import { isOutage } from '../../src/base/errors.js';
import { createMongoClient, withCallTimeouts, withMongoTimeout } from '../../src/base/mongo.js';
import { eventually } from '../support/eventually.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { TcpProxy } from '../support/proxy.js';
import { virtualTime } from '../support/virtualTime.js';

const never = new Promise<never>(() => {});

describe('a MongoDB client', () => {
  let proxy: TcpProxy | undefined;

  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });
  after(() => proxy?.close());

  it('closes a silent connection, and finds the server again', async () => {
    const url = new URL(await freshDatabase());
    proxy = await TcpProxy.to(url.hostname, Number(url.port || 27017));
    url.host = `127.0.0.1:${proxy.port}`;
    url.searchParams.set('directConnection', 'true');
    const client = createMongoClient(url.href, { socketTimeoutMs: 200, retryReads: false });
    const ask = () => client.db().command({ ping: 1 });
    await ask();
    proxy.stall();
    const error: unknown = await ask().catch((cause: unknown) => cause);
    expect(error).to.be.instanceOf(MongoNetworkTimeoutError);
    proxy.restore();
    await ask();
    await client.close();
  });

  it('reconnects when the driver’s monitor goes silent', async () => {
    const client = createMongoClient(await freshDatabase(), { socketTimeoutMs: 1000, monitorCheckMs: 20 });
    await client.connect();
    const opened = once(client, 'topologyOpening');
    // Simulates a monitor that waits for ever: its reports no longer arrive.
    client.removeAllListeners('serverHeartbeatSucceeded').removeAllListeners('serverHeartbeatFailed');
    await opened;
    await eventually('it answers again', () =>
      client
        .db()
        .command({ ping: 1 })
        .then(
          () => true,
          (error: unknown) => !isOutage(error),
        ),
    );
    await client.close();
  });
});

describe('an attempt with a time-out', () => {
  it('returns a result that comes in time', async () => {
    expect(await withMongoTimeout(virtualTime(), 100, Promise.resolve('an answer'))).to.equal('an answer');
  });

  it('is an outage after the time-out, even if the driver never settles it', async () => {
    const time = virtualTime();
    const asked = withMongoTimeout(time, 100, never).catch((cause: unknown) => cause);
    await time.advance(100);
    expect(isOutage(await asked)).to.equal(true);
  });

  it('wraps every call of a port, with its arguments and its result', async () => {
    const port = { add: async (a: number, b: number) => a + b, hang: (): Promise<void> => never };
    const calls = withCallTimeouts(20, port);
    expect(await calls.add(1, 2)).to.equal(3);
    expect(isOutage(await calls.hang().catch((cause: unknown) => cause))).to.equal(true);
  });
});
