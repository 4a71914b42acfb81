import { expect } from 'chai';
import type { NodeId } from '../../src/cluster/bus.js';
import type { Devices } from '../../src/cluster/nodes.js';

/** A store of active devices. */
export interface DeviceStore {
  /** Opens the devices of a live node. */
  open(node: NodeId): Promise<Devices>;
}

/** A store that several nodes share. */
export interface SharedDeviceStore extends DeviceStore {
  /** Silences the node until it counts as dead. */
  die(node: NodeId): Promise<void>;
  /** Delays the next change until `land` is called. Its caller sees a lost answer. */
  holdNextChange(): { land(): Promise<void> };
}

const elsewhere = async (devices: Devices, users: string[], except?: NodeId): Promise<string[]> =>
  [...(await devices.findActive(users, except))].sort();

/** Promises that hold for a single node. */
export const promises: Readonly<Record<string, (store: DeviceStore) => Promise<void>>> = {
  async 'return users that were set and not cleared'(store) {
    const devices = await store.open('a');
    for (const user of ['anna', 'ben', 'chris']) await devices.setActive(user);
    await devices.clearActive('ben');
    await devices.clearActive('nobody');
    await devices.clearActive('chris');
    await devices.setActive('chris');
    expect(await elsewhere(devices, ['anna', 'ben', 'chris', 'nobody'])).to.deep.equal(['anna', 'chris']);
    expect(await elsewhere(devices, ['anna', 'ben', 'chris'], 'a')).to.deep.equal([]);
    expect(await elsewhere(devices, ['chris'])).to.deep.equal(['chris']);
    expect(await elsewhere(devices, [])).to.deep.equal([]);
  },

  async 'ignore a repeated call'(store) {
    const devices = await store.open('a');
    await devices.setActive('anna');
    await devices.setActive('anna');
    expect(await devices.listActive('a', 10)).to.deep.equal(['anna']);
    await devices.clearActive('anna');
    await devices.clearActive('anna');
    expect(await devices.listActive('a', 10)).to.deep.equal([]);
  },

  async 'list the users of a node page by page'(store) {
    const devices = await store.open('a');
    const users = ['chris', 'anna', 'dora', 'emil', 'ben'];
    for (const user of users) await devices.setActive(user);
    await devices.clearActive('dora');
    const pages = [
      await devices.listActive('a', 2),
      await devices.listActive('a', 2, 'ben'),
      await devices.listActive('a', 2, 'emil'),
    ];
    expect(pages).to.deep.equal([['anna', 'ben'], ['chris', 'emil'], []]);
    expect(await devices.listActive('b', 2)).to.deep.equal([]);
  },

  async 'drop all rows of a node'(store) {
    const devices = await store.open('a');
    for (const user of ['anna', 'ben']) await devices.setActive(user);
    await devices.dropNode('b');
    expect(await devices.listActive('a', 10)).to.deep.equal(['anna', 'ben']);
    await devices.dropNode('a');
    expect([await devices.listActive('a', 10), await elsewhere(devices, ['anna', 'ben'])]).to.deep.equal([
      [],
      [],
    ]);
    await devices.setActive('ben');
    expect(await elsewhere(devices, ['anna', 'ben'])).to.deep.equal(['ben']);
  },
};

/** Further promises that hold between several nodes. */
export const promisesToMany: Readonly<Record<string, (store: SharedDeviceStore) => Promise<void>>> = {
  async 'tell every node who is active on any node'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    await a.setActive('anna');
    await a.setActive('ben');
    await b.setActive('ben');
    await a.clearActive('ben');
    const users = ['anna', 'ben', 'chris'];
    for (const devices of [a, b]) {
      expect(await elsewhere(devices, users)).to.deep.equal(['anna', 'ben']);
      expect(await elsewhere(devices, users, 'a')).to.deep.equal(['ben']);
      expect(await elsewhere(devices, users, 'b')).to.deep.equal(['anna']);
    }
    await b.clearActive('anna');
    expect(await elsewhere(b, users)).to.deep.equal(['anna', 'ben']);
    await b.clearActive('ben');
    expect(await elsewhere(a, users)).to.deep.equal(['anna']);
  },

  async 'ignore users active only on a dead node, but still list them'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    await a.setActive('anna');
    await a.setActive('ben');
    await b.setActive('ben');
    await store.die('a');
    expect(await elsewhere(b, ['anna', 'ben'])).to.deep.equal(['ben']);
    expect(await b.listActive('a', 10)).to.deep.equal(['anna', 'ben']);
    await b.dropNode('a');
    expect(await b.listActive('a', 10)).to.deep.equal([]);
    expect(await b.listActive('b', 10)).to.deep.equal(['ben']);
  },

  async 'let the later of two calls win, however late the earlier one lands'(store) {
    const a = await store.open('a');
    await a.setActive('anna');
    const clearing = store.holdNextChange();
    await a.clearActive('anna').catch(() => {});
    await a.setActive('anna');
    await clearing.land();
    expect(await elsewhere(a, ['anna'])).to.deep.equal(['anna']);
    const setting = store.holdNextChange();
    await a.setActive('ben').catch(() => {});
    await a.clearActive('ben');
    await setting.land();
    expect(await elsewhere(a, ['anna', 'ben'])).to.deep.equal(['anna']);
  },
};
