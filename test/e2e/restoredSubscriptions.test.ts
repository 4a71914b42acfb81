import { expect } from 'chai';
import { backUp } from '../support/backUp.js';
import { allEngines, hasEngine, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { dataAt, EGRESS, Receiver } from '../support/receiver.js';
import type { ServerProcess } from '../support/server.js';
import { chatOf, Newcomer, say } from './newcomer.js';

for (const engine of allEngines)
  describe(`a subscription after a restore (${engine})`, function () {
    this.timeout(180_000);
    let server: ServerProcess | undefined;
    let receiver: Receiver | undefined;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });
    after(async () => {
      await server?.stop();
      await receiver?.close();
    });

    it('goes on from the end that the log had then, under another history', async () => {
      const running = await startFresh(engine, { env: { ...EGRESS, RATE_LIMIT: 'off', PARTITIONS: '2' } });
      server = running;
      const inbox = await Receiver.start();
      receiver = inbox;
      const host = await HostServer.of(running);
      const [ada, ben] = [await Newcomer.at(running), await Newcomer.at(running)];
      const speak = async (...texts: string[]): Promise<void> => {
        const phone = await ada.device();
        const roomId = await chatOf(phone, ben);
        for (const text of texts) await say(phone, roomId, text);
        await phone.close();
      };
      const texts = () => dataAt(inbox.received, 'text');
      await host.subscribe('all', { url: inbox.url, types: ['MessageSent'] });
      await speak('kept');
      await eventually('it has come', () => texts().length === 1);
      // Else it may be sent again after the stop.
      await eventually('that it was taken is stored', async () => {
        const { lagEvents } = await host.subscription('all');
        return lagEvents === 0;
      });
      const events = (from: string) => host.ask(`GET /server/events?from=${encodeURIComponent(from)}`);
      const { next: old } = (await events('start')).body;
      await running.stop();
      const copy = await backUp(running);
      await running.start();
      await speak('lost', 'lost too');
      await eventually('they have come', () => texts().length === 3);
      // This one fails as the log is lost with it, so that a try of it waits.
      inbox.answer = () => 500;
      await speak('never taken');
      await eventually('it fails', () => texts().includes('never taken'));
      await running.stop();
      await copy.restore('log');
      const { code, err } = await parley(['restore', '--here'], running.settings);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      inbox.answer = () => 200;
      await running.start();
      const { status, body } = await events(old);
      expect([status, body.code, body.reason]).to.deep.equal([400, 'bad_request', 'history']);
      const altered = await events(`${old}x`);
      expect([altered.status, altered.body.reason]).to.deep.equal([400, undefined]);
      const device = await RawSocket.connect(running.wsUrl);
      const identity = { token: ada.token, cursor: old };
      expect(await device.refusal('identity', identity)).to.include({
        code: 'bad_request',
        reason: 'history',
      });
      await device.close();
      const { failing, lagEvents } = await host.subscription('all');
      expect(failing).to.equal(undefined);
      expect(lagEvents, 'only what came since').to.be.below(10);
      await speak('after it');
      await eventually('it has come', () => texts().at(-1) === 'after it');
      // What was not taken is tried again after 5 s, which may pass before the stop.
      const tried = texts().filter((text, i, all) => text !== 'never taken' || all[i - 1] !== text);
      expect(tried).to.deep.equal(['kept', 'lost', 'lost too', 'never taken', 'after it']);
      const histories = inbox.received.map(({ id }) => id.split('_')[1]);
      expect(new Set(histories.slice(0, -1)).size).to.equal(1);
      expect(histories.at(-1)).to.not.equal(histories[0]);
    });
  });
