import { expect } from 'chai';
import type { NodeId } from '../../src/cluster/bus.js';
import { DEAD_AFTER_MS, type Nodes } from '../../src/cluster/nodes.js';
import { eventually } from '../support/eventually.js';

/** A place where nodes tell that they live. */
export interface NodeStore {
  open(node: NodeId, knows: readonly string[]): Promise<Nodes>;
}

/** One that several nodes share. */
export interface SharedNodeStore extends NodeStore {
  /** Every beat so far is so much longer ago. */
  pass(ms: number): Promise<void>;
  /** The next call is carried out, but its answer does not arrive. */
  loseNextAnswer(): void;
}

const names = async (nodes: Nodes): Promise<NodeId[]> => (await nodes.living()).map(({ node }) => node);
const dead = async (nodes: Nodes): Promise<NodeId[]> => (await nodes.dead()).map(({ node }) => node);

/** Whatever begins from here on is younger. */
const aMillisecond = (nodes: Nodes): Promise<void> =>
  eventually('a millisecond has passed', async () =>
    (await nodes.living()).every(({ silentMs }) => silentMs > 0),
  );

/** What is promised to the only node there is, by name. */
export const promises: Readonly<Record<string, (store: NodeStore) => Promise<void>>> = {
  async 'tell of a node from its first beat on, since when it lives and what it knows'(store) {
    const nodes = await store.open('a', ['MessageSent', '$strange']);
    expect(await nodes.living()).to.deep.equal([]);
    await nodes.beat();
    await nodes.beat();
    const [living, ...others] = await nodes.living();
    expect(others).to.deep.equal([]);
    expect(living).to.include({ node: 'a' });
    expect(living?.knows).to.deep.equal(['MessageSent', '$strange']);
    expect(living?.startedAt).to.be.instanceOf(Date);
    expect(living?.silentMs).to.be.within(0, DEAD_AFTER_MS);
    expect(await nodes.dead()).to.deep.equal([]);
  },

  async 'tell a node which of its beats is the first'(store) {
    const nodes = await store.open('a', []);
    expect([await nodes.beat(), await nodes.beat(), await nodes.beat()]).to.deep.equal([true, false, false]);
  },

  async 'take no node that has left for living, until it beats again'(store) {
    const nodes = await store.open('a', []);
    await nodes.beat();
    await nodes.leave();
    expect(await names(nodes)).to.deep.equal([]);
    expect(await nodes.beat()).to.equal(true);
    expect(await names(nodes)).to.deep.equal(['a']);
  },
};

/** What is promised besides where there are several nodes. */
export const promisesToMany: Readonly<Record<string, (store: SharedNodeStore) => Promise<void>>> = {
  async 'tell each of all, the longest-lived first, whenever they last beat'(store) {
    const [b, a, c] = [await store.open('b', ['x']), await store.open('a', []), await store.open('c', [])];
    for (const node of [b, a, c]) {
      await node.beat();
      await aMillisecond(node);
    }
    await store.pass(1000);
    await b.beat();
    for (const node of [b, a, c]) expect(await names(node)).to.deep.equal(['b', 'a', 'c']);
    const [first, second] = await c.living();
    expect(first?.silentMs).to.be.below(second?.silentMs ?? 0);
    expect(first?.knows).to.deep.equal(['x']);
  },

  async 'take a node for dead that has been silent for 10 s, and say when it last beat'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.beat();
    const [before] = await b.living();
    await store.pass(DEAD_AFTER_MS);
    await b.beat();
    expect([await names(b), await dead(b)]).to.deep.equal([['b'], ['a']]);
    const [{ lastBeat } = { lastBeat: new Date(0) }] = await b.dead();
    expect(lastBeat.getTime()).to.equal((before?.startedAt.getTime() ?? 0) - DEAD_AFTER_MS);
  },

  async 'take a node for dead that is said to have ended, since its last beat'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.beat();
    await b.beat();
    const [{ startedAt } = { startedAt: new Date(0) }] = await b.living();
    await b.bury('a');
    await b.bury('nobody');
    expect(await names(b)).to.deep.equal(['b']);
    expect(await b.dead()).to.deep.equal([{ node: 'a', lastBeat: startedAt }]);
  },

  async 'take a node that has left for dead at once, since then, until it is forgotten or beats again'(
    store,
  ) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.beat();
    await store.pass(5000);
    await b.beat();
    await a.leave();
    const [gone] = await b.dead();
    expect(gone?.node).to.equal('a');
    await a.beat();
    expect([await names(b), await dead(b)]).to.deep.equal([['b', 'a'], []]);
    const [, again] = await b.living();
    expect(gone?.lastBeat.getTime()).to.be.at.most(again?.startedAt.getTime() ?? 0);
    expect(gone?.lastBeat.getTime()).to.be.above((again?.startedAt.getTime() ?? 0) - 5000);
    await a.leave();
    await b.forget('a');
    expect([await names(b), await dead(b)]).to.deep.equal([['b'], []]);
  },

  async 'take a dead node for living when it beats again, and tell it that it was not forgotten'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.beat();
    await store.pass(DEAD_AFTER_MS);
    expect(await a.beat()).to.equal(false);
    expect([await names(b), await dead(b)]).to.deep.equal([['a'], []]);
  },

  async 'forget a dead node, and tell it so should it come back, as the youngest'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.beat();
    await store.pass(DEAD_AFTER_MS);
    await b.beat();
    await b.forget('a');
    expect(await dead(b)).to.deep.equal([]);
    await aMillisecond(b);
    expect(await a.beat()).to.equal(true);
    expect(await names(b)).to.deep.equal(['b', 'a']);
  },

  async 'forget no node that lives'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.beat();
    await b.forget('a');
    expect(await names(b)).to.deep.equal(['a']);
    expect(await a.beat()).to.equal(false);
  },

  async 'tell a node that it was forgotten, though the first beat to say so is not answered'(store) {
    const a = await store.open('a', []);
    await a.beat();
    await store.pass(DEAD_AFTER_MS);
    await a.forget('a');
    store.loseNextAnswer();
    const seen = await a.beat().catch((error: unknown) => error);
    expect(seen).to.be.instanceOf(Error);
    expect([await a.beat(), await a.beat()]).to.deep.equal([true, false]);
  },
};
