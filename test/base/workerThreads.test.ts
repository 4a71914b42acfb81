import { MessageChannel } from 'node:worker_threads';
import { expect } from 'chai';
import { connectThread, serveThread, withTransferList } from '../../src/base/workerThreads.js';

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
