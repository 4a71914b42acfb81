import { expect } from 'chai';
import { systemClock } from '../../src/base/clock.js';
import { createMemoryLeases, LEASE_MS } from '../../src/cluster/leases.js';
import { createMongoLeases } from '../../src/cluster/mongoLeases.js';
import { defects, spoilt } from '../conformance/leaseDefects.js';
import { PARTITIONS, promises, promisesToMany, type SharedLeaseStore } from '../conformance/leases.js';
import { mongoUrl } from '../support/mongo.js';
import { MongoFixture } from './mongoFixture.js';

describe('The leases of a single process', () => {
  for (const [promise, check] of Object.entries(promises))
    it(promise, () => check({ open: async (node) => createMemoryLeases(node, PARTITIONS) }));

  it('never expire', async () => {
    const held = await createMemoryLeases('a', PARTITIONS).acquire(0);
    expect(held?.validUntil).to.equal(Number.POSITIVE_INFINITY);
  });
});

describe('Leases on MongoDB', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });

  let side: MongoFixture;
  let store: SharedLeaseStore;
  beforeEach(async () => {
    side = await MongoFixture.open();
    store = {
      open: (node, now = systemClock.now) =>
        createMongoLeases(side.node(), node, PARTITIONS, { ...systemClock, now }),
      expire: () =>
        side.rewrite(
          'leases',
          Object.fromEntries(
            Array.from({ length: PARTITIONS }, (_, p) => [
              `p${p}.expires`,
              { $subtract: [`$p${p}.expires`, LEASE_MS] },
            ]),
          ),
        ),
      loseNextAnswer: () => side.loseAnswerOf('leases'),
    };
  });
  afterEach(() => side.close());

  const all = { ...promises, ...promisesToMany };
  for (const [promise, check] of Object.entries(all)) it(promise, () => check(store));

  for (const [defect, { breaks, spoil }] of Object.entries(defects))
    it(`are seen to be broken when ${defect}`, async () => {
      const check = all[breaks];
      if (!check) throw new Error(`no promise is named “${breaks}”`);
      const seen = await check(spoilt(store, spoil)).catch((error: unknown) => error);
      expect(seen).to.have.property('name', 'AssertionError');
    });

  it('throw if the database does not answer', async () => {
    const leases = await store.open('a');
    const held = await leases.acquire(0);
    await side.close();
    for (const call of [leases.acquire(1), leases.renewAll(), held?.release(), leases.freeAllOf('b')]) {
      const seen = await call?.then(
        () => 'an answer',
        (error: unknown) => error,
      );
      expect(seen).to.be.instanceOf(Error);
    }
  });
});
