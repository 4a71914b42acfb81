import { AssertionError, expect } from 'chai';
import type { NodeId } from '../../src/cluster/bus.js';
import { type HeldLease, LEASE_MS, type Leases } from '../../src/cluster/leases.js';

/** The number of partitions of each store. */
export const PARTITIONS = 3;

/** A place for leases. */
export interface LeaseStore {
  /** Opens the leases of this node. `now` is its clock; default `performance.now()`. */
  open(node: NodeId, now?: () => number): Promise<Leases>;
}

/** A place that several nodes share. */
export interface SharedLeaseStore extends LeaseStore {
  /** Lets all held leases expire on the store's clock. */
  expire(): Promise<void>;
  /** Carries out the next call that changes a lease, but loses its answer. */
  loseNextAnswer(): void;
}

/** A clock set by hand, for checks that must not depend on the machine's speed. */
const handSet = () => {
  let time = 1000;
  return { now: () => time, pass: (ms: number) => (time += ms) };
};

async function taken(leases: Leases, partition = 0): Promise<HeldLease> {
  const held = await leases.acquire(partition);
  if (!held) throw new AssertionError(`partition ${partition} could not be acquired`);
  return held;
}

const isValid = ({ validUntil }: HeldLease): boolean => validUntil > performance.now();
/** Whether the lease is valid after a renewal by its node. */
async function isRenewed(leases: Leases, held: HeldLease): Promise<boolean> {
  await leases.renewAll();
  return isValid(held);
}
/** Requests leave at the end of a turn at the latest, so that those of one turn share a call. */
const requested = Promise.resolve();

const thrownBy = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error) => error,
  );

/** Promises that hold for a single node. */
export const promises: Readonly<Record<string, (store: LeaseStore) => Promise<void>>> = {
  async 'give a free lease to a node, valid at once, and list it as holder'(store) {
    const leases = await store.open('a');
    expect(await leases.renewAll()).to.deep.equal([undefined, undefined, undefined]);
    const held = await taken(leases, 1);
    expect(held.partition).to.equal(1);
    expect(isValid(held)).to.equal(true);
    expect(await leases.renewAll()).to.deep.equal([undefined, { node: 'a', epoch: held.epoch }, undefined]);
  },

  async 'have an epoch above every earlier one'(store) {
    const leases = await store.open('a');
    const epochs = [0];
    for (let n = 0; n < 3; n++) {
      const held = await taken(leases);
      const again = await taken(leases);
      epochs.push(held.epoch, again.epoch);
      await leases.renewAll();
      await again.release();
      await again.release();
    }
    expect(epochs).to.deep.equal([...new Set(epochs)].sort((a, b) => a - b));
  },

  async 'are free as soon as they are released, and lost to the node that released them'(store) {
    const leases = await store.open('a');
    const [held, other] = [await taken(leases), await taken(leases, 2)];
    await held.release();
    expect(await leases.renewAll()).to.deep.equal([undefined, undefined, { node: 'a', epoch: other.epoch }]);
    expect([isValid(held), await isRenewed(leases, held)]).to.deep.equal([false, false]);
    expect([isValid(other), await isRenewed(leases, other)]).to.deep.equal([true, true]);
  },

  async 'end an earlier lease of the node that acquires them again'(store) {
    const leases = await store.open('a');
    const before = await taken(leases);
    const now = await taken(leases);
    expect([isValid(before), await isRenewed(leases, before)]).to.deep.equal([false, false]);
    await before.release();
    expect(await isRenewed(leases, now)).to.equal(true);
    expect(await leases.renewAll()).to.deep.include({ node: 'a', epoch: now.epoch });
  },

  async 'stay released after a concurrent renewal'(store) {
    const leases = await store.open('a');
    const held = await taken(leases);
    const renewal = leases.renewAll();
    await Promise.all([held.release(), renewal]);
    expect([isValid(held), await isRenewed(leases, held)]).to.deep.equal([false, false]);
    expect(await leases.renewAll()).to.deep.equal([undefined, undefined, undefined]);
  },
};

/** Further promises that hold between several nodes. */
export const promisesToMany: Readonly<Record<string, (store: SharedLeaseStore) => Promise<void>>> = {
  async 'are held by one node at a time'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const held = await taken(a);
    expect(await b.acquire(0)).to.equal(undefined);
    expect(await isRenewed(a, held)).to.equal(true);
    expect(await b.acquire(0)).to.equal(undefined);
    expect(await b.renewAll()).to.deep.equal([{ node: 'a', epoch: held.epoch }, undefined, undefined]);
  },

  async 'pass to another node at once when released, with a larger epoch'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const first = await taken(a);
    await first.release();
    const second = await taken(b);
    expect(second.epoch).to.be.above(first.epoch);
    await first.release();
    expect([await isRenewed(a, first), await isRenewed(b, second)]).to.deep.equal([false, true]);
    expect(await a.acquire(0)).to.equal(undefined);
  },

  async 'are free when their holder is declared ended'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const held = await taken(a);
    await taken(b, 1);
    await b.freeAllOf('a');
    expect((await b.renewAll()).map((holder) => holder?.node)).to.deep.equal([undefined, 'b', undefined]);
    const next = await taken(b);
    expect(next.epoch).to.be.above(held.epoch);
    expect(await isRenewed(a, held)).to.equal(false);
  },

  async 'pass to another node after they expired, and are then lost for good'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const first = await taken(a);
    expect(await b.acquire(0)).to.equal(undefined);
    await store.expire();
    expect(await b.renewAll()).to.deep.equal([undefined, undefined, undefined]);
    const second = await taken(b);
    expect(second.epoch).to.be.above(first.epoch);
    expect(await isRenewed(a, first)).to.equal(false);
    await first.release();
    expect(await a.renewAll()).to.deep.equal([{ node: 'b', epoch: second.epoch }, undefined, undefined]);
    await store.expire();
    expect([await isRenewed(a, first), await isRenewed(b, second)]).to.deep.equal([false, true]);
  },

  async 'are kept by a renewal after they expired if no node took them'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const held = await taken(a);
    await store.expire();
    expect(await isRenewed(a, held)).to.equal(true);
    expect(await b.acquire(0)).to.equal(undefined);
  },

  async 'of one node are renewed and lost one by one'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const [kept, lost] = [await taken(a, 0), await taken(a, 1)];
    await store.expire();
    const taking = await taken(b, 1);
    await a.renewAll();
    expect([isValid(kept), isValid(lost), await isRenewed(b, taking)]).to.deep.equal([true, false, true]);
    expect([await b.acquire(0), await a.acquire(1)]).to.deep.equal([undefined, undefined]);
  },

  async 'of an acquisition without an answer expire, although the node renews its others'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const other = await taken(a, 1);
    store.loseNextAnswer();
    expect(await thrownBy(a.acquire(0))).to.be.instanceOf(Error);
    await store.expire();
    expect(await isRenewed(a, other)).to.equal(true);
    expect(await b.acquire(0)).not.to.equal(undefined);
    expect(await b.acquire(1)).to.equal(undefined);
  },

  async 'go to one of several concurrent callers'(store) {
    const nodes = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((node) => store.open(node)));
    const epochs = [0];
    for (let n = 0; n < 4; n++) {
      const all = await Promise.all(nodes.map((leases) => leases.acquire(0)));
      const [winner, ...others] = all.filter((held) => held !== undefined);
      if (!winner) throw new AssertionError('nobody was given what is free');
      expect(others).to.deep.equal([]);
      epochs.push(winner.epoch);
      if (n % 2 === 0) await store.expire();
      else await winner.release();
      // So that the next round gives no lease to its present holder.
      nodes.splice(all.indexOf(winner), 1);
    }
    expect(epochs).to.deep.equal([...new Set(epochs)].sort((a, b) => a - b));
  },

  async 'are valid from before the request, not from the answer'(store) {
    const { now, pass } = handSet();
    const leases = await store.open('a', now);
    const beforeAsking = now();
    const asking = leases.acquire(0);
    await requested;
    pass(3000);
    const held = await asking;
    expect(held?.validUntil).to.be.within(beforeAsking + 1, beforeAsking + LEASE_MS - 1);
    const beforeRenewing = now();
    const renewing = leases.renewAll();
    await requested;
    pass(3000);
    await renewing;
    expect(held?.validUntil).to.be.within(beforeRenewing + 1, beforeRenewing + LEASE_MS - 1);
  },

  async 'are neither won nor lost by a renewal of unknown outcome'(store) {
    const { now, pass } = handSet();
    const [a, b] = [await store.open('a', now), await store.open('b')];
    const held = await taken(a);
    const { validUntil } = held;
    pass(1000);
    store.loseNextAnswer();
    expect(await thrownBy(a.renewAll())).to.be.instanceOf(Error);
    expect(held.validUntil).to.equal(validUntil);
    expect(await b.acquire(0)).to.equal(undefined);
    await a.renewAll();
    expect(held.validUntil).to.equal(validUntil + 1000);
  },

  async 'can be acquired again after an acquisition of unknown outcome'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    store.loseNextAnswer();
    expect(await thrownBy(a.acquire(0))).to.be.instanceOf(Error);
    const [first] = await b.renewAll();
    expect(first?.node).to.equal('a');
    expect(await b.acquire(0)).to.equal(undefined);
    const held = await taken(a);
    expect(held.epoch).to.be.above(first?.epoch ?? 0);
    expect(await isRenewed(a, held)).to.equal(true);
  },

  async 'are over after a release of unknown outcome'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    const held = await taken(a);
    store.loseNextAnswer();
    expect(await thrownBy(held.release())).to.be.instanceOf(Error);
    expect([isValid(held), await isRenewed(a, held)]).to.deep.equal([false, false]);
    expect((await taken(b)).epoch).to.be.above(held.epoch);
  },

  async 'keep their epochs when a new node opens the store'(store) {
    const first = await taken(await store.open('a'));
    const b = await store.open('b');
    expect(await b.renewAll()).to.deep.equal([{ node: 'a', epoch: first.epoch }, undefined, undefined]);
    await first.release();
    expect((await taken(b)).epoch).to.be.above(first.epoch);
  },
};
