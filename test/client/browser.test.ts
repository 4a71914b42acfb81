import 'fake-indexeddb/auto';
import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { type DeviceStore, deleteDeviceStore, openDeviceStore } from '../../packages/client/src/browser.js';
import { createClient } from '../../packages/client/src/client.js';
import { Outbox, type OutboxEntry } from '../../packages/client/src/outbox.js';
import { eventually } from '../support/eventually.js';
import { runs } from '../support/lanes.js';
import { ScriptedServer, someone } from './scripted.js';

const entry = (id: string, message = 'hello'): OutboxEntry => ({
  ...{ id, request: 'send message', data: { messageId: id, message, roomId: 'room' } },
  queuedAt: someone.createdAt,
});

describe('the stores of a browser', () => {
  const open: DeviceStore[] = [];
  let name: string;
  let n = 0;

  async function openOne(): Promise<DeviceStore> {
    const device = await openDeviceStore(name);
    open.push(device);
    return device;
  }

  beforeEach(() => {
    name = `parley-${n++}`;
  });

  afterEach(() => {
    for (const device of open.splice(0)) device.close();
  });

  it('keep unsent messages in order when they are opened again', async () => {
    const first = await openOne();
    for (const id of ['b', 'c', 'a']) await first.outbox.put(entry(id));
    await first.outbox.remove('c');
    await first.outbox.remove('c');
    first.close();
    const second = await openOne();
    expect(await second.outbox.load()).to.deep.equal([entry('b'), entry('a')]);
  });

  it('keep one entry of an id, whichever tab puts it and however often', async () => {
    const tabs = [await openOne(), await openOne()];
    const step = fc.record({
      tab: fc.nat(1),
      id: fc.constantFrom('a', 'b', 'c'),
      does: fc.constantFrom('put' as const, 'remove' as const),
    });
    await fc.assert(
      fc
        .asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const expected = new Map<string, OutboxEntry>();
          for (const { tab, id, does } of steps) {
            if (does === 'put') expected.set(id, entry(id));
            else expected.delete(id);
            await (does === 'put' ? tabs[tab]?.outbox.put(entry(id)) : tabs[tab]?.outbox.remove(id));
          }
          for (const tab of tabs) expect(await tab.outbox.load()).to.deep.equal([...expected.values()]);
        })
        .afterEach(async () => {
          for (const id of ['a', 'b', 'c']) await tabs[0]?.outbox.remove(id);
        }),
      { numRuns: runs(40) },
    );
  });

  it('keep a cursor until it is removed', async () => {
    const { cursors } = await openOne();
    expect(await cursors.load()).to.equal(undefined);
    await cursors.save('c1');
    await cursors.save('c2');
    expect(await (await openOne()).cursors.load()).to.equal('c2');
    await cursors.save(undefined);
    expect(await (await openOne()).cursors.load()).to.equal(undefined);
  });

  it('can be deleted while another tab has them open', async () => {
    const { outbox } = await openOne();
    await outbox.put(entry('a'));
    await deleteDeviceStore(name);
    expect(await (await openOne()).outbox.load()).to.deep.equal([]);
  });

  it('let two tabs send an unsent message, which is stored once', async () => {
    const server = await ScriptedServer.start();
    server.on({
      'send message': (connection, frame) => {
        const message = { ...frame.data, seq: 1, senderId: someone.userId, sentAt: someone.createdAt };
        connection.answer(frame, { message, revision: 'r' });
      },
    });
    const { outbox } = await openOne();
    await outbox.put(entry('a', 'left'));
    const tabs = [await openOne(), await openOne()].map(({ outbox: store }) => {
      const client = createClient({ url: server.url, getToken: () => 't', webSocket: WebSocket });
      return { client, outbox: new Outbox(client, { store }) };
    });
    for (const tab of tabs) await tab.outbox.resume();
    for (const tab of tabs) tab.client.start();
    await eventually('both are done', () => tabs.every((tab) => tab.outbox.waiting.length === 0));
    const sent = server.sent('send message').map(({ data }) => data);
    expect(sent).to.deep.equal([
      { messageId: 'a', message: 'left', roomId: 'room' },
      { messageId: 'a', message: 'left', roomId: 'room' },
    ]);
    expect(await outbox.load()).to.deep.equal([]);
    for (const tab of tabs) tab.client.close();
    await server.stop();
  });
});
