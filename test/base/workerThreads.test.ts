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
  const MIB = 1024 * 1024;

  function setUp() {
    const thread = { utilization: 0, liveMib: 20, garbageMib: 0, collections: 0 };
    const collection = new IdleCollection({
      utilization: () => thread.utilization,
      longLivedBytes: () => (thread.liveMib + thread.garbageMib) * MIB,
      collect() {
        thread.collections++;
        thread.garbageMib = 0;
      },
    });
    for (let i = 0; i < 3; i++) collection.look();
    thread.collections = 0;
    return { thread, collection };
  }

  it('waits until the thread is idle after a burst, and happens twice', () => {
    const { thread, collection } = setUp();
    thread.utilization = 0.5;
    thread.liveMib += 30;
    thread.garbageMib = 30;
    collection.look();
    expect(thread.collections).equal(0);
    thread.utilization = 0.01;
    for (let i = 0; i < 4; i++) collection.look();
    expect([thread.collections, thread.garbageMib]).deep.equal([2, 0]);
  });

  it('does not happen for less than 12 MiB', () => {
    const { thread, collection } = setUp();
    thread.garbageMib = 11;
    collection.look();
    expect(thread.collections).equal(0);
    thread.garbageMib = 12;
    collection.look();
    expect(thread.collections).equal(1);
  });

  it('counts what has come since V8 last collected by itself', () => {
    const { thread, collection } = setUp();
    thread.liveMib = 5;
    collection.look();
    thread.garbageMib = 12;
    collection.look();
    expect(thread.collections).equal(1);
  });
});
