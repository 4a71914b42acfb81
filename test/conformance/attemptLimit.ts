import { expect } from 'chai';
import type { Allowance, AttemptLimit } from '../../src/base/rateLimits.js';

/** A place for a limit, shared by nodes. */
export interface LimitStore {
  /** Opens the limit for one more node. */
  open(allowance: Allowance): Promise<AttemptLimit>;
  /** Advances the time of the store and the nodes. */
  pass(ms: number): Promise<void>;
}

/** One per minute, so that a slow machine does not refill a token. */
const allowance = { rate: 1, burst: 3 };

async function outcomes(limit: AttemptLimit, address: string, times: number): Promise<boolean[]> {
  const all: boolean[] = [];
  for (let n = 0; n < times; n++) all.push((await limit.take(address)) === 0);
  return all;
}

/** The promises of every attempt limit. */
export const promises: Readonly<Record<string, (store: LimitStore) => Promise<void>>> = {
  async 'allows the burst, then tells how long to wait'(store) {
    const limit = await store.open(allowance);
    expect(await outcomes(limit, 'a', 4)).to.deep.equal([true, true, true, false]);
    expect(await limit.take('a'))
      .to.be.within(1, 60_000)
      .and.satisfy(Number.isInteger);
  },

  async 'counts each address by itself'(store) {
    const limit = await store.open(allowance);
    await outcomes(limit, 'a', 4);
    expect(await outcomes(limit, 'b', 4)).to.deep.equal([true, true, true, false]);
  },

  async 'allows one more attempt after each interval'(store) {
    const limit = await store.open(allowance);
    await outcomes(limit, 'a', 3);
    await store.pass(await limit.take('a'));
    expect(await outcomes(limit, 'a', 2)).to.deep.equal([true, false]);
    await store.pass(120_000);
    expect(await outcomes(limit, 'a', 3)).to.deep.equal([true, true, false]);
  },

  async 'never accumulates more than a burst'(store) {
    const limit = await store.open(allowance);
    await outcomes(limit, 'a', 3);
    await store.pass(3_600_000);
    expect(await outcomes(limit, 'a', 4)).to.deep.equal([true, true, true, false]);
  },

  async 'gives each token to one of several concurrent callers'(store) {
    const limit = await store.open({ rate: 1, burst: 5 });
    const waits = await Promise.all(Array.from({ length: 20 }, () => limit.take('a')));
    expect(waits.filter((ms) => ms === 0)).to.have.length(5);
  },
};

/** Further promises for a limit shared by nodes. */
export const promisesToMany: typeof promises = {
  async 'applies the same limit to an address at every node'(store) {
    const nodes = [await store.open(allowance), await store.open(allowance), await store.open(allowance)];
    const waits = await Promise.all(nodes.flatMap((node) => [node.take('a'), node.take('a')]));
    expect(waits.filter((ms) => ms === 0)).to.have.length(3);
  },
};
