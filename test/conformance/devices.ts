import { expect } from 'chai';
import type { NodeId } from '../../src/cluster/bus.js';
import type { Devices } from '../../src/cluster/devices.js';

/** A place where nodes keep who is active on them. */
export interface DeviceStore {
  /** As this node has it, which lives. */
  open(node: NodeId): Promise<Devices>;
}

/** One that several nodes share. */
export interface SharedDeviceStore extends DeviceStore {
  /** The node is silent for long enough to be dead. */
  die(node: NodeId): Promise<void>;
  /** The next change is carried out, but only when `land` is called; until then it looks like a lost one. */
  holdNextChange(): { land(): Promise<void> };
}

const elsewhere = async (devices: Devices, users: string[], except?: NodeId): Promise<string[]> =>
  [...(await devices.elsewhere(users, except))].sort();

/** What is promised to the only node there is, by name. */
export const promises: Readonly<Record<string, (store: DeviceStore) => Promise<void>>> = {
  async 'has those who are set and not cleared since'(store) {
    const devices = await store.open('a');
    for (const user of ['anna', 'ben', 'chris']) await devices.set(user);
    await devices.clear('ben');
    await devices.clear('nobody');
    await devices.clear('chris');
    await devices.set('chris');
    expect(await elsewhere(devices, ['anna', 'ben', 'chris', 'nobody'])).to.deep.equal(['anna', 'chris']);
    expect(await elsewhere(devices, ['anna', 'ben', 'chris'], 'a')).to.deep.equal([]);
    expect(await elsewhere(devices, ['chris'])).to.deep.equal(['chris']);
    expect(await elsewhere(devices, [])).to.deep.equal([]);
  },

  async 'does nothing new when it is told twice'(store) {
    const devices = await store.open('a');
    await devices.set('anna');
    await devices.set('anna');
    expect(await devices.of('a', 10)).to.deep.equal(['anna']);
    await devices.clear('anna');
    await devices.clear('anna');
    expect(await devices.of('a', 10)).to.deep.equal([]);
  },

  async 'lists the users of a node page by page'(store) {
    const devices = await store.open('a');
    const users = ['chris', 'anna', 'dora', 'emil', 'ben'];
    for (const user of users) await devices.set(user);
    await devices.clear('dora');
    const pages = [
      await devices.of('a', 2),
      await devices.of('a', 2, 'ben'),
      await devices.of('a', 2, 'emil'),
    ];
    expect(pages).to.deep.equal([['anna', 'ben'], ['chris', 'emil'], []]);
    expect(await devices.of('b', 2)).to.deep.equal([]);
  },

  async 'drops all of a node'(store) {
    const devices = await store.open('a');
    for (const user of ['anna', 'ben']) await devices.set(user);
    await devices.dropNode('b');
    expect(await devices.of('a', 10)).to.deep.equal(['anna', 'ben']);
    await devices.dropNode('a');
    expect([await devices.of('a', 10), await elsewhere(devices, ['anna', 'ben'])]).to.deep.equal([[], []]);
    await devices.set('ben');
    expect(await elsewhere(devices, ['anna', 'ben'])).to.deep.equal(['ben']);
  },
};

/** What is promised besides where there are several nodes. */
export const promisesToMany: Readonly<Record<string, (store: SharedDeviceStore) => Promise<void>>> = {
  async 'tells every node who is active on any'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    await a.set('anna');
    await a.set('ben');
    await b.set('ben');
    await a.clear('ben');
    const users = ['anna', 'ben', 'chris'];
    for (const devices of [a, b]) {
      expect(await elsewhere(devices, users)).to.deep.equal(['anna', 'ben']);
      expect(await elsewhere(devices, users, 'a')).to.deep.equal(['ben']);
      expect(await elsewhere(devices, users, 'b')).to.deep.equal(['anna']);
    }
    await b.clear('anna');
    expect(await elsewhere(b, users)).to.deep.equal(['anna', 'ben']);
    await b.clear('ben');
    expect(await elsewhere(a, users)).to.deep.equal(['anna']);
  },

  async 'counts nobody who is active on a dead node only, and still lists them'(store) {
    const [a, b] = [await store.open('a'), await store.open('b')];
    await a.set('anna');
    await a.set('ben');
    await b.set('ben');
    await store.die('a');
    expect(await elsewhere(b, ['anna', 'ben'])).to.deep.equal(['ben']);
    expect(await b.of('a', 10)).to.deep.equal(['anna', 'ben']);
    await b.dropNode('a');
    expect(await b.of('a', 10)).to.deep.equal([]);
    expect(await b.of('b', 10)).to.deep.equal(['ben']);
  },

  async 'has the later of two calls win, however late the earlier one lands'(store) {
    const a = await store.open('a');
    await a.set('anna');
    const clearing = store.holdNextChange();
    await a.clear('anna').catch(() => {});
    await a.set('anna');
    await clearing.land();
    expect(await elsewhere(a, ['anna'])).to.deep.equal(['anna']);
    const setting = store.holdNextChange();
    await a.set('ben').catch(() => {});
    await a.clear('ben');
    await setting.land();
    expect(await elsewhere(a, ['anna', 'ben'])).to.deep.equal(['anna']);
  },
};
