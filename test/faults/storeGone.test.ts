import { setTimeout as pass } from 'node:timers/promises';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { type Device, newDevice, signUp } from '../support/people.js';
import { TcpProxy } from '../support/proxy.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { expectWhole, Ledger } from './ledger.js';

/** How long the store is away: longer than a lease. */
const AWAY_MS = 5000;
const MESSAGES = 60;

describe('MongoDB gone for five seconds', function () {
  this.timeout(300_000);
  let proxy: TcpProxy;
  let server: ServerProcess;
  const devices: Device[] = [];

  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
    const url = new URL(await freshDatabase());
    proxy = await TcpProxy.to(url.hostname, Number(url.port || 27017));
    url.host = `127.0.0.1:${proxy.port}`;
    // Else the driver would learn the server's own address, and go past the proxy.
    url.searchParams.delete('replicaSet');
    url.searchParams.set('directConnection', 'true');
    server = await startServer({ engine: 'mongodb', env: { MONGO_URL: url.href, RATE_LIMIT: 'off' } });
  });

  after(async () => {
    for (const device of devices) device.close();
    await server?.stop();
    await proxy?.close();
  });

  for (const [how, fail] of [
    ['cut off', () => proxy.cut()],
    ['not answering', () => proxy.stall()],
  ] as const) {
    it(`${how}: what is sent meanwhile comes late, none is lost or doubled`, async () => {
      const name = how.replace(' ', '_');
      const [ada, ben] = [await signUp(server, `ada_${name}`), await signUp(server, `ben_${name}`)];
      const [sender, reader] = [await newDevice(server, ada), await newDevice(server, ben)];
      devices.push(sender, reader);
      await Promise.all([sender.client.ready, reader.client.ready]);
      const roomId = await sender.chatWith(ben);
      const ledger = new Ledger();
      await ledger.send(sender, roomId, 'before');

      const ended = server.exited.then(() => 'ended');
      const before = Array.from({ length: MESSAGES }, (_, n) =>
        ledger.send(sender, roomId, `meanwhile ${n}`),
      );
      await ledger.until(2);
      fail();
      const during = Array.from({ length: MESSAGES }, (_, n) => ledger.send(sender, roomId, `away ${n}`));
      await pass(AWAY_MS);
      expect(ledger.acknowledged, 'the store was really away').to.be.below(1 + 2 * MESSAGES);
      proxy.restore();
      const sent = Promise.all([...before, ...during]).then(() => 'sent');
      const outcome = await Promise.race([sent, ended]);
      expect(outcome, server.log).to.equal('sent');

      const history = await sender.history(roomId);
      expect(history).to.have.length(1 + 2 * MESSAGES);
      ledger.check(roomId, history);
      await ledger.send(sender, roomId, 'after');
      await eventually('the other has been pushed all of it', () => reader.pushed.length > history.length);
      expectWhole(reader.pushed);
    });
  }
});
