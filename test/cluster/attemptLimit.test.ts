import { expect } from 'chai';
import { MongoClient } from 'mongodb';
import { type AttemptLimit, createMemoryAttemptLimit } from '../../src/base/rateLimits.js';
import { createClusterClient, createMongoAttemptLimit } from '../../src/cluster/mongoCluster.js';
import { type LimitStore, promises, promisesToMany } from '../conformance/attemptLimit.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';

function inMemory(): LimitStore {
  let time = 0;
  return {
    open: async (allowance) => createMemoryAttemptLimit(allowance, () => time),
    async pass(ms) {
      time += ms;
    },
  };
}

/** Each promise, with a broken limit that must violate it. */
const defects: readonly [breaks: string, on: (store: LimitStore) => LimitStore][] = [
  ['allows the burst, then tells how long to wait', spoilt(letAllPass)],
  ['counts each address by itself', spoilt(({ take }) => ({ take: () => take('one and all') }))],
  ['allows one more attempt after each interval', (store) => ({ ...store, pass: async () => {} })],
  ['never accumulates more than a burst', spoilt(fullAgainAndAgain)],
  ['gives each token to one of several concurrent callers', spoilt(looksBeforeItTakes)],
];

function spoilt(change: (limit: AttemptLimit) => AttemptLimit) {
  return (store: LimitStore): LimitStore => ({
    ...store,
    open: async (allowance) => change(await store.open(allowance)),
  });
}

function letAllPass({ take }: AttemptLimit): AttemptLimit {
  return { take: async (address) => (await take(address)) * 0 };
}

function fullAgainAndAgain({ take }: AttemptLimit): AttemptLimit {
  let refusals = 0;
  return { take: async (address) => ((await take(address)) > 0 ? refusals++ % 2 : 0) };
}

function looksBeforeItTakes({ take }: AttemptLimit): AttemptLimit {
  let last = 0;
  return {
    async take(address) {
      const seen = last;
      last = await take(address);
      return seen;
    },
  };
}

describe('An attempt limit in memory', () => {
  for (const [promise, check] of Object.entries(promises)) it(promise, () => check(inMemory()));

  for (const [breaks, on] of defects)
    it(`is seen to be broken when it does not do this: ${breaks}`, async () => {
      const check = promises[breaks];
      if (!check) throw new Error(`no promise is named “${breaks}”`);
      const seen = await check(on(inMemory())).catch((error: unknown) => error);
      expect(seen).to.have.property('name', 'AssertionError');
    });
});

describe('An attempt limit on MongoDB', () => {
  const clients: MongoClient[] = [];
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });
  after(() => Promise.all(clients.map((client) => client.close())));

  const client = (url: string): MongoClient => {
    const made = createClusterClient(url);
    clients.push(made);
    return made;
  };

  async function inDatabase(): Promise<LimitStore & { readonly url: string }> {
    const url = await freshDatabase();
    const db = client(url).db();
    let time = 0;
    return {
      url,
      open: (allowance) => createMongoAttemptLimit(client(url).db(), allowance, () => time),
      // The database's clock cannot be set, so that its stored times are moved into the past.
      async pass(ms) {
        time += ms;
        const updatedAt = { $subtract: ['$updatedAt', ms] };
        await db.collection('sign_in_buckets').updateMany({}, [{ $set: { updatedAt } }]);
      },
    };
  }

  for (const [promise, check] of Object.entries({ ...promises, ...promisesToMany }))
    it(promise, async () => check(await inDatabase()));

  it('is detected as broken when each node counts for itself', async () => {
    const apart = (): LimitStore => ({
      open: async (allowance) => createMemoryAttemptLimit(allowance, () => 0),
      pass: async () => {},
    });
    for (const check of Object.values(promisesToMany)) {
      const seen = await check(apart()).catch((error: unknown) => error);
      expect(seen).to.have.property('name', 'AssertionError');
    }
  });

  it('keeps a bucket only until it is full again', async () => {
    const store = await inDatabase();
    await (await store.open({ rate: 1, burst: 3 })).take('a');
    const buckets = client(store.url).db().collection('sign_in_buckets');
    const bucket = await buckets.findOne();
    expect(bucket?.fullAt.getTime() - bucket?.updatedAt.getTime()).to.be.within(59_000, 61_000);
    const ttl = (await buckets.indexes()).map(({ key, expireAfterSeconds }) => ({ key, expireAfterSeconds }));
    expect(ttl).to.deep.include({ key: { fullAt: 1 }, expireAfterSeconds: 0 });
  });

  it('refuses everyone when the database does not answer', async () => {
    const away = new MongoClient(await freshDatabase(), { serverSelectionTimeoutMS: 1000 });
    const limit = await createMongoAttemptLimit(away.db(), { rate: 1, burst: 3 });
    await away.close();
    const seen = await limit.take('a').catch((error: unknown) => error);
    expect(seen).to.be.instanceOf(Error);
  });
});
