import { once } from 'node:events';
import { expect } from 'chai';
import { type Document, MongoNetworkError, MongoNetworkTimeoutError } from 'mongodb';
import { isOutage } from '../../src/base/errors.js';
import {
  createMongoClient,
  GroupedInserts,
  isDuplicateKey,
  isPermanentFailure,
  withCallTimeouts,
  withMongoTimeout,
} from '../../src/base/mongo.js';
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

/** A server that keeps each call until it is answered. */
class SlowServer {
  readonly calls: {
    readonly ids: readonly unknown[];
    readonly settle: (reply: Promise<Document>) => void;
  }[] = [];

  command({ documents }: { documents: readonly Document[] }): Promise<Document> {
    return new Promise((settle) => this.calls.push({ ids: documents.map(({ _id }) => _id), settle }));
  }

  get ids(): unknown[] {
    return this.calls.map(({ ids }) => ids);
  }

  answer(call: number, reply: Document): void {
    this.calls[call]?.settle(Promise.resolve(reply));
  }
}

describe('grouped inserts', () => {
  const [lingerMs, timeoutMs] = [5, 1000];
  let time: ReturnType<typeof virtualTime>;
  let server: SlowServer;
  let inserts: GroupedInserts<Document>;

  /** What each insert came to, by id. */
  const outcomes = new Map<unknown, string>();
  const nameOf = (error: unknown) =>
    isDuplicateKey(error) ? 'duplicate' : isPermanentFailure(error) ? 'refused' : 'unknown';
  const insert = (...ids: number[]) => {
    for (const _id of ids)
      void inserts.insert({ _id }, 10).then(
        () => outcomes.set(_id, 'stored'),
        (error: unknown) => outcomes.set(_id, nameOf(error)),
      );
    return time.advance(0);
  };

  beforeEach(() => {
    outcomes.clear();
    time = virtualTime();
    server = new SlowServer();
    inserts = new GroupedInserts(server, 'things', { clock: time, timeoutMs, lingerMs, maxBytes: 30 });
  });

  it('leave at once, those of one turn together', async () => {
    await insert(1, 2, 3);
    expect(server.ids).to.deep.equal([[1, 2, 3]]);
  });

  it('wait a little for others while a call is in flight', async () => {
    await insert(1);
    await insert(2);
    await time.advance(lingerMs - 1);
    await insert(3);
    expect(server.ids).to.deep.equal([[1]]);
    await time.advance(1);
    expect(server.ids).to.deep.equal([[1], [2, 3]]);
  });

  it('leave at once again after the last call is answered', async () => {
    await insert(1);
    server.answer(0, { n: 1 });
    await time.advance(0);
    await insert(2);
    expect(server.ids).to.deep.equal([[1], [2]]);
  });

  it('fit the size of a call, unless a document alone exceeds it', async () => {
    await insert(1, 2, 3, 4);
    expect(server.ids).to.deep.equal([[1, 2, 3], [4]]);
    void inserts.insert({ _id: 5 }, 1000);
    void inserts.insert({ _id: 6 }, 10);
    await time.advance(lingerMs);
    expect(server.ids).to.deep.equal([[1, 2, 3], [4], [5], [6]]);
  });

  it('have an outcome each', async () => {
    await insert(1, 2, 3);
    const writeErrors = [
      { index: 1, code: 11000, errmsg: 'there is one' },
      { index: 2, code: 121, errmsg: 'not valid' },
    ];
    server.answer(0, { n: 1, writeErrors });
    await time.advance(0);
    expect([...outcomes]).to.deep.equal([
      [1, 'stored'],
      [2, 'duplicate'],
      [3, 'refused'],
    ]);
  });

  it('have an unknown outcome if the answer does not account for them', async () => {
    for (const reply of [{ n: 2, writeErrors: [{ index: 1, code: 11000 }] }, { n: 3 }, { ok: 1 }]) {
      server = new SlowServer();
      inserts = new GroupedInserts(server, 'things', { clock: time, timeoutMs, lingerMs, maxBytes: 100 });
      await insert(1, 2, 3, 4);
      server.answer(0, reply);
      await time.advance(0);
      const others = reply.writeErrors ? 'duplicate' : 'unknown';
      expect([...outcomes.values()]).to.have.members(['unknown', others, 'unknown', 'unknown']);
      expect(outcomes.get(2)).to.equal(others);
      outcomes.clear();
    }
  });

  it('have an unknown outcome if the call fails', async () => {
    await insert(1, 2);
    server.calls[0]?.settle(Promise.reject(new MongoNetworkError('the connection broke')));
    await time.advance(0);
    expect([...outcomes.values()]).to.deep.equal(['unknown', 'unknown']);
  });

  it('do not wait for a call that hangs, whose documents have an unknown outcome', async () => {
    await insert(1, 2);
    await insert(3);
    await time.advance(lingerMs);
    server.answer(1, { n: 1 });
    await time.advance(timeoutMs);
    expect([...outcomes]).to.deep.equal([
      [3, 'stored'],
      [1, 'unknown'],
      [2, 'unknown'],
    ]);
  });
});
