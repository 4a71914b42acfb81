import { expect } from 'chai';
import type { NodeId } from '../../src/cluster/bus.js';
import { DEAD_AFTER_MS, type Nodes } from '../../src/cluster/nodes.js';
import { eventually } from '../support/eventually.js';

/** A place where nodes record that they live. */
export interface NodeStore {
  open(node: NodeId, capabilities: readonly string[]): Promise<Nodes>;
}

/** A place that several nodes share. */
export interface SharedNodeStore extends NodeStore {
  /** Moves every heartbeat back by `ms`. */
  pass(ms: number): Promise<void>;
  /** Carries out the next call, but loses its answer. */
  loseNextAnswer(): void;
}

const names = async (nodes: Nodes): Promise<NodeId[]> => (await nodes.listLive()).map(({ node }) => node);
const dead = async (nodes: Nodes): Promise<NodeId[]> => (await nodes.listDead()).map(({ node }) => node);

/** Makes later nodes younger. */
const aMillisecond = (nodes: Nodes): Promise<void> =>
  eventually('a millisecond has passed', async () =>
    (await nodes.listLive()).every(({ silentMs }) => silentMs > 0),
  );

/** Promises that hold for a single node. */
export const promises: Readonly<Record<string, (store: NodeStore) => Promise<void>>> = {
  async 'list a node from its first heartbeat on, with its start and capabilities'(store) {
    const nodes = await store.open('a', ['MessageSent', '$strange']);
    expect(await nodes.listLive()).to.deep.equal([]);
    await nodes.heartbeat();
    await nodes.heartbeat();
    const [living, ...others] = await nodes.listLive();
    expect(others).to.deep.equal([]);
    expect(living).to.include({ node: 'a' });
    expect(living?.capabilities).to.deep.equal(['MessageSent', '$strange']);
    expect(living?.startedAt).to.be.instanceOf(Date);
    expect(living?.silentMs).to.be.within(0, DEAD_AFTER_MS);
    expect(await nodes.listDead()).to.deep.equal([]);
  },

  async 'tell a node which heartbeat is its first'(store) {
    const nodes = await store.open('a', []);
    expect([await nodes.heartbeat(), await nodes.heartbeat(), await nodes.heartbeat()]).to.deep.equal([
      true,
      false,
      false,
    ]);
  },

  async 'exclude a node that has left, until its next heartbeat'(store) {
    const nodes = await store.open('a', []);
    await nodes.heartbeat();
    await nodes.leave();
    expect(await names(nodes)).to.deep.equal([]);
    expect(await nodes.heartbeat()).to.equal(true);
    expect(await names(nodes)).to.deep.equal(['a']);
  },
};

/** Further promises that hold between several nodes. */
export const promisesToMany: Readonly<Record<string, (store: SharedNodeStore) => Promise<void>>> = {
  async 'list all nodes, the longest-lived first, whatever their last heartbeat'(store) {
    const [b, a, c] = [await store.open('b', ['x']), await store.open('a', []), await store.open('c', [])];
    for (const node of [b, a, c]) {
      await node.heartbeat();
      await aMillisecond(node);
    }
    await store.pass(1000);
    await b.heartbeat();
    for (const node of [b, a, c]) expect(await names(node)).to.deep.equal(['b', 'a', 'c']);
    const [first, second] = await c.listLive();
    expect(first?.silentMs).to.be.below(second?.silentMs ?? 0);
    expect(first?.capabilities).to.deep.equal(['x']);
  },

  async 'list a node as dead after 10 s of silence, with its last heartbeat'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.heartbeat();
    const [before] = await b.listLive();
    await store.pass(DEAD_AFTER_MS);
    await b.heartbeat();
    expect([await names(b), await dead(b)]).to.deep.equal([['b'], ['a']]);
    const [{ lastHeartbeat } = { lastHeartbeat: new Date(0) }] = await b.listDead();
    expect(lastHeartbeat.getTime()).to.equal((before?.startedAt.getTime() ?? 0) - DEAD_AFTER_MS);
  },

  async 'list an expired node as dead, with its last heartbeat'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.heartbeat();
    await b.heartbeat();
    const [{ startedAt } = { startedAt: new Date(0) }] = await b.listLive();
    await b.expire('a');
    await b.expire('nobody');
    expect(await names(b)).to.deep.equal(['b']);
    expect(await b.listDead()).to.deep.equal([{ node: 'a', lastHeartbeat: startedAt }]);
  },

  async 'list a node that left as dead, until it is forgotten or sends a heartbeat'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.heartbeat();
    await store.pass(5000);
    await b.heartbeat();
    await a.leave();
    const [gone] = await b.listDead();
    expect(gone?.node).to.equal('a');
    await a.heartbeat();
    expect([await names(b), await dead(b)]).to.deep.equal([['b', 'a'], []]);
    const [, again] = await b.listLive();
    expect(gone?.lastHeartbeat.getTime()).to.be.at.most(again?.startedAt.getTime() ?? 0);
    expect(gone?.lastHeartbeat.getTime()).to.be.above((again?.startedAt.getTime() ?? 0) - 5000);
    await a.leave();
    await b.forget('a');
    expect([await names(b), await dead(b)]).to.deep.equal([['b'], []]);
  },

  async 'list a dead node as live after a heartbeat, and tell it that it was not forgotten'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.heartbeat();
    await store.pass(DEAD_AFTER_MS);
    expect(await a.heartbeat()).to.equal(false);
    expect([await names(b), await dead(b)]).to.deep.equal([['a'], []]);
  },

  async 'forget a dead node, which returns as the youngest and is told so'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.heartbeat();
    await store.pass(DEAD_AFTER_MS);
    await b.heartbeat();
    await b.forget('a');
    expect(await dead(b)).to.deep.equal([]);
    await aMillisecond(b);
    expect(await a.heartbeat()).to.equal(true);
    expect(await names(b)).to.deep.equal(['b', 'a']);
  },

  async 'do not forget a live node'(store) {
    const [a, b] = [await store.open('a', []), await store.open('b', [])];
    await a.heartbeat();
    await b.forget('a');
    expect(await names(b)).to.deep.equal(['a']);
    expect(await a.heartbeat()).to.equal(false);
  },

  async 'tell a node that it was forgotten, even if the first answer is lost'(store) {
    const a = await store.open('a', []);
    await a.heartbeat();
    await store.pass(DEAD_AFTER_MS);
    await a.forget('a');
    store.loseNextAnswer();
    const seen = await a.heartbeat().catch((error: unknown) => error);
    expect(seen).to.be.instanceOf(Error);
    expect([await a.heartbeat(), await a.heartbeat()]).to.deep.equal([true, false]);
  },
};
