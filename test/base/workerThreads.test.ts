import { MessageChannel } from 'node:worker_threads';
import { expect } from 'chai';
import {
  connectThread,
  IdleCollection,
  serveThread,
  withTransferList,
} from '../../src/base/workerThreads.js';

describe('calls between threads', () => {
  it('move the buffers of a marked result, and copy all others', async () => {
    const { port1, port2 } = new MessageChannel();
    const given = new Uint8Array([1, 2, 3]);
    const kept = new Uint8Array([4, 5, 6]);
    const api = {
      give: async () => withTransferList({ bytes: given }, given.buffer),
      keep: async () => ({ bytes: kept }),
    };
    serveThread(port1, api);
    const remote = connectThread<typeof api>(port2);
    expect((await remote.give()).bytes).to.deep.equal(new Uint8Array([1, 2, 3]));
    expect((await remote.keep()).bytes).to.deep.equal(new Uint8Array([4, 5, 6]));
    expect(given.byteLength).to.equal(0);
    expect(kept.byteLength).to.equal(3);
    port1.close();
  });
});

describe('the collection of garbage in a thread', () => {
  function setUp() {
    const thread = { utilization: 0, turnover: 0, collections: 0 };
    const collection = new IdleCollection({
      utilization: () => thread.utilization,
      turnover: () => thread.turnover,
      collect: () => thread.collections++,
    });
    return { thread, collection };
  }

  it('waits until the thread is idle after a burst, and happens twice', () => {
    const { thread, collection } = setUp();
    thread.utilization = 0.5;
    thread.turnover = 1000;
    collection.look();
    expect(thread.collections).equal(0);
    thread.utilization = 0.01;
    for (let i = 0; i < 4; i++) collection.look();
    expect(thread.collections).equal(2);
  });

  it('does not happen for less than 1,000 connections, however long the thread is idle', () => {
    const { thread, collection } = setUp();
    thread.turnover = 999;
    for (let i = 0; i < 4; i++) collection.look();
    expect(thread.collections).equal(0);
    thread.turnover = 1000;
    collection.look();
    expect(thread.collections).equal(1);
  });
});
