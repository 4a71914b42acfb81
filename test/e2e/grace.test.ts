import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { allKinds, hasEngine, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { Newcomer } from './newcomer.js';

for (const engine of allKinds) {
  describe(`presence over losses and deaths (${engine})`, () => {
    let server: Running;
    let ada: Newcomer;
    let ben: Newcomer;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { PRESENCE_GRACE: '1h', RATE_LIMIT: 'off' } });
      [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      const tablet = await ben.device();
      await tablet.request('add friend', { friendId: ada.userId });
      await tablet.close();
    });
    after(() => server?.stop());

    it('counts a lost connection as active for PRESENCE_GRACE; signing out ends it at once', async () => {
      const tablet = await ben.device();
      const [phone, other] = [await ada.signedIn(), await ada.signedIn()];
      await tablet.push('get online info', ({ isOnline }) => isOnline);
      await phone.device.cut();
      await other.device.close();
      const again = await ada.device();
      await again.cut();
      const asked = await tablet.request('get online info', { recipientId: ada.userId });
      expect(asked).to.include({ isOnline: true, lastSeen: null });
      const last = await ada.signedIn();
      const before = Date.now();
      await new Rest(server.url).signOut(last.token, { everywhere: true });
      const { data } = await tablet.push('get online info', ({ isOnline }) => !isOnline);
      expect(Date.parse(data.lastSeen ?? '')).to.be.within(before, Date.now());
      const told = tablet.pushed('get online info').map(({ isOnline }) => isOnline);
      expect(told).to.deep.equal([true, false]);
      await tablet.close();
    });

    it('takes offline, after a grace time, whom a server that was killed left online', async () => {
      const cleo = await Newcomer.at(server);
      const tablet = await ben.device();
      await tablet.request('add friend', { friendId: cleo.userId });
      const phone = await cleo.device();
      await tablet.push('get online info', ({ recipientId }) => recipientId === cleo.userId);
      const died = server.kill();
      await phone.closed;
      await died;
      const dead = Date.now();
      await server.start({ PRESENCE_GRACE: '300ms' });
      const later = await ben.device();
      const asked = () => later.persist('get online info', { recipientId: cleo.userId });
      await eventually('she is offline', async () => !(await asked()).isOnline);
      // At the last sign of life of the server that died, which is every 5 s.
      expect(Date.parse((await asked()).lastSeen ?? '')).to.be.within(dead - 30_000, dead);
      await later.close();
    });
  });
}
