import { expect } from 'chai';
import type { NodeId } from '../../src/cluster/bus.js';
import { createMongoNodes } from '../../src/cluster/mongoCluster.js';
import { createMemoryNodes, type Nodes } from '../../src/cluster/nodes.js';
import { promises, promisesToMany, type SharedNodeStore } from '../conformance/nodes.js';
import { mongoUrl } from '../support/mongo.js';
import { MongoFixture } from './mongoFixture.js';

describe('The nodes of a single process', () => {
  for (const [promise, check] of Object.entries(promises))
    it(`can ask others, who ${promise}`, () =>
      check({ open: async (node, capabilities) => createMemoryNodes({ node, capabilities }) }));
});

/** Nodes broken on purpose, and the promise that each must break. */
const defects: Readonly<Record<string, { breaks: string; spoil: (nodes: Nodes, node: NodeId) => Nodes }>> = {
  'a node that leaves does not say so': {
    breaks: 'exclude a node that has left, until its next heartbeat',
    spoil: (nodes) => ({ ...nodes, leave: async () => {} }),
  },
  'a node that has left is no longer known of': {
    breaks: 'list a node that left as dead, until it is forgotten or sends a heartbeat',
    spoil: (nodes, node) => ({
      ...nodes,
      listDead: async () => (await nodes.listDead()).filter((d) => d.node === node),
    }),
  },
  'every beat is the first': {
    breaks: 'tell a node which heartbeat is its first',
    spoil: (nodes) => ({ ...nodes, heartbeat: async () => (await nodes.heartbeat()) || true }),
  },
  'a node knows only itself': {
    breaks: 'list all nodes, the longest-lived first, whatever their last heartbeat',
    spoil: (nodes, self) => ({
      ...nodes,
      listLive: async () => (await nodes.listLive()).filter(({ node }) => node === self),
    }),
  },
  'the last to beat comes first': {
    breaks: 'list all nodes, the longest-lived first, whatever their last heartbeat',
    spoil: (nodes) => ({
      ...nodes,
      listLive: async () => [...(await nodes.listLive())].sort((a, b) => a.silentMs - b.silentMs),
    }),
  },
  'nobody dies': {
    breaks: 'list a node as dead after 10 s of silence, with its last heartbeat',
    spoil: (nodes) => ({ ...nodes, listDead: async () => [] }),
  },
  'one that lives is forgotten': {
    breaks: 'do not forget a live node',
    spoil: (nodes, node) => ({ ...nodes, heartbeat: async () => (await nodes.heartbeat()) || node === 'a' }),
  },
  'it is said only once that a node was forgotten': {
    breaks: 'tell a node that it was forgotten, even if the first answer is lost',
    spoil: (nodes) => ({ ...nodes, heartbeat: saidOnce(nodes) }),
  },
};

/** Forgets that a first answer was lost. */
function saidOnce(nodes: Nodes): () => Promise<boolean> {
  let beats = 0;
  return async () => {
    beats++;
    return (await nodes.heartbeat()) && beats === 1;
  };
}

describe('The nodes on MongoDB', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });

  let side: MongoFixture;
  let store: SharedNodeStore;
  beforeEach(async () => {
    side = await MongoFixture.open();
    store = {
      open: async (node, capabilities) => createMongoNodes(side.node(), { node, capabilities }),
      pass: (ms) => side.rewrite('members', { lastHeartbeat: { $subtract: ['$lastHeartbeat', ms] } }),
      loseNextAnswer: () => side.loseAnswerOf('members'),
    };
  });
  afterEach(() => side.close());

  const all = { ...promises, ...promisesToMany };
  for (const [promise, check] of Object.entries(all)) it(promise, () => check(store));

  for (const [defect, { breaks, spoil }] of Object.entries(defects))
    it(`are seen to be broken when ${defect}`, async () => {
      const check = all[breaks];
      if (!check) throw new Error(`no promise is named “${breaks}”`);
      const open = async (node: NodeId, capabilities: readonly string[]) =>
        spoil(await store.open(node, capabilities), node);
      const seen = await check({ ...store, open }).catch((error: unknown) => error);
      expect(seen).to.have.property('name', 'AssertionError');
    });
});
