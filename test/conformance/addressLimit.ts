import { expect } from 'chai';
import type { AddressLimit, Allowance } from '../../src/base/rateLimits.js';

/** A place where a limit is kept, and nodes that are held to it. */
export interface LimitStore {
  /** As one more node has it. */
  open(allowance: Allowance): Promise<AddressLimit>;
  /** Lets so much time pass, for the store and for the nodes. */
  pass(ms: number): Promise<void>;
}

/** One a minute, so that the time a slow machine takes brings nothing back. */
const allowance = { rate: 1, burst: 3 };

async function outcomes(limit: AddressLimit, address: string, times: number): Promise<boolean[]> {
  const all: boolean[] = [];
  for (let n = 0; n < times; n++) all.push((await limit.take(address)) === 0);
  return all;
}

/** What every address limit promises, by name. */
export const promises: Readonly<Record<string, (store: LimitStore) => Promise<void>>> = {
  async 'lets an address pass as often as its burst allows, and says how long to wait then'(store) {
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

  async 'lets it pass again when the time it was told is over, once for each interval'(store) {
    const limit = await store.open(allowance);
    await outcomes(limit, 'a', 3);
    await store.pass(await limit.take('a'));
    expect(await outcomes(limit, 'a', 2)).to.deep.equal([true, false]);
    await store.pass(120_000);
    expect(await outcomes(limit, 'a', 3)).to.deep.equal([true, true, false]);
  },

  async 'never saves up more than a burst'(store) {
    const limit = await store.open(allowance);
    await outcomes(limit, 'a', 3);
    await store.pass(3_600_000);
    expect(await outcomes(limit, 'a', 4)).to.deep.equal([true, true, true, false]);
  },

  async 'gives each token to one of those who ask at once'(store) {
    const limit = await store.open({ rate: 1, burst: 5 });
    const waits = await Promise.all(Array.from({ length: 20 }, () => limit.take('a')));
    expect(waits.filter((ms) => ms === 0)).to.have.length(5);
  },
};

/** What it promises besides where there can be several nodes. */
export const promisesToMany: typeof promises = {
  async 'holds an address to the same limit at every node'(store) {
    const nodes = [await store.open(allowance), await store.open(allowance), await store.open(allowance)];
    const waits = await Promise.all(nodes.flatMap((node) => [node.take('a'), node.take('a')]));
    expect(waits.filter((ms) => ms === 0)).to.have.length(3);
  },
};
