import { expect } from 'chai';
import type { Db } from 'mongodb';
import { MAJORITY } from '../../src/base/mongo.js';
import type { NodeId } from '../../src/cluster/bus.js';
import { createMongoDevices, createMongoNodes } from '../../src/cluster/mongoCluster.js';
import { createMemoryDevices, type Devices } from '../../src/cluster/nodes.js';
import { promises, promisesToMany, type SharedDeviceStore } from '../conformance/devices.js';
import { mongoUrl } from '../support/mongo.js';
import { MongoFixture } from './mongoFixture.js';

type Defect = { readonly breaks: string; readonly spoil: (devices: Devices, node: NodeId) => Devices };

/** Devices broken on purpose, and the promise that each must break. */
const defects: Readonly<Record<string, Defect>> = {
  'nobody is cleared': {
    breaks: 'return users that were set and not cleared',
    spoil: (devices) => ({ ...devices, clearActive: async () => {} }),
  },
  'each call toggles': { breaks: 'ignore a repeated call', spoil: toggling },
  'a page begins with the last of the one before': {
    breaks: 'list the users of a node page by page',
    spoil: (devices) => ({
      ...devices,
      listActive: async (node, limit, after) =>
        [...(after === undefined ? [] : [after]), ...(await devices.listActive(node, limit, after))].slice(
          0,
          limit,
        ),
    }),
  },
  'whoever is dropped is every node': {
    breaks: 'drop all rows of a node',
    spoil: (devices, self) => ({ ...devices, dropNode: () => devices.dropNode(self) }),
  },
};

function toggling(devices: Devices): Devices {
  const known = new Set<string>();
  return {
    ...devices,
    async setActive(user) {
      if (known.delete(user)) return devices.clearActive(user);
      known.add(user);
      return devices.setActive(user);
    },
  };
}

const defectsOfMany: Readonly<Record<string, Defect>> = {
  'a node counts itself only': {
    breaks: 'tell every node who is active on any node',
    spoil: (devices, self) => ({
      ...devices,
      findActive: async (users) => {
        const own = await devices.listActive(self, 100);
        return new Set(users.filter((user) => own.includes(user)));
      },
    }),
  },
  'the dead count': {
    breaks: 'ignore users active only on a dead node, but still list them',
    spoil: (devices) => ({
      ...devices,
      findActive: async (users) => {
        const rows = [...(await devices.listActive('a', 100)), ...(await devices.listActive('b', 100))];
        return new Set(users.filter((user) => rows.includes(user)));
      },
    }),
  },
};

/** Delays updates to the database, like a network whose caller has given up on them. */
class LateUpdates {
  /** True if an update's condition on earlier calls is kept. */
  areOrdered = true;
  #next: ((land: () => Promise<unknown>) => void) | undefined;

  holdNext(): { land(): Promise<void> } {
    const held = new Promise<() => Promise<unknown>>((resolve) => {
      this.#next = resolve;
    });
    // Nobody receives the server's answer.
    return { land: async () => void (await (await held)().catch(() => {})) };
  }

  /** Returns the database behind this network. */
  reached(db: Db): Db {
    const collection = db.collection('devices', MAJORITY);
    const updateOne = collection.updateOne.bind(collection);
    collection.updateOne = (filter, ...update) => {
      const carriedOut = () =>
        updateOne(this.areOrdered ? filter : { ...(filter._id && { _id: filter._id }) }, ...update);
      const hold = this.#next;
      if (!hold) return carriedOut();
      this.#next = undefined;
      hold(carriedOut);
      return Promise.reject(new Error('no answer'));
    };
    // The test uses only this function.
    return { collection: () => collection } as unknown as Db;
  }
}

async function expectSeen(defect: Defect, store: SharedDeviceStore): Promise<void> {
  const check = { ...promises, ...promisesToMany }[defect.breaks];
  if (!check) throw new Error(`no promise is named “${defect.breaks}”`);
  const open = async (node: NodeId) => defect.spoil(await store.open(node), node);
  const seen = await check({ ...store, open }).catch((error: unknown) => error);
  expect(seen).to.have.property('name', 'AssertionError');
}

describe('Active devices in memory', () => {
  for (const [promise, check] of Object.entries(promises))
    it(promise, () => check({ open: async (node) => createMemoryDevices(node) }));
});

describe('Active devices on MongoDB', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });

  let side: MongoFixture;
  let late: LateUpdates;
  let store: SharedDeviceStore;
  beforeEach(async () => {
    late = new LateUpdates();
    side = await MongoFixture.open();
    store = {
      async open(node) {
        const db = side.node();
        const nodes = createMongoNodes(db, { node, capabilities: [] });
        await nodes.heartbeat();
        return createMongoDevices(late.reached(db), node, nodes);
      },
      die: (node) => side.rewrite('members', { lastHeartbeat: new Date(0) }, { _id: node }),
      holdNextChange: () => late.holdNext(),
    };
  });
  afterEach(() => side.close());

  for (const [promise, check] of Object.entries({ ...promises, ...promisesToMany }))
    it(promise, () => check(store));

  for (const [name, defect] of Object.entries({ ...defects, ...defectsOfMany }))
    it(`is seen to be broken when ${name}`, () => expectSeen(defect, store));

  it('are detected as broken when the call that lands last wins', () => {
    late.areOrdered = false;
    const breaks = 'let the later of two calls win, however late the earlier one lands';
    return expectSeen({ breaks, spoil: (devices) => devices }, store);
  });
});
