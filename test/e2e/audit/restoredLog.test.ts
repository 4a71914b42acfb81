import { expect } from 'chai';
import { type BackUp, backUp } from '../../support/backUp.js';
import { commandEngines, hasEngine, startFresh } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { parley } from '../../support/parley.js';
import { rejection } from '../../support/rejection.js';
import { DidNotStart, type ServerProcess } from '../../support/server.js';
import { chatOf, Newcomer, say } from '../newcomer.js';

for (const engine of commandEngines)
  describe(`A log from a backup, behind what was signed of it, on ${engine}`, function () {
    this.timeout(180_000);
    let server: ServerProcess;
    let ada: Newcomer;
    let ben: Newcomer;
    let copy: BackUp;
    const talk = async (text: string) => {
      const device = await ada.device();
      try {
        await say(device, await chatOf(device, ben), text);
      } finally {
        await device.close();
      }
    };

    before('more is said than the backup has, and signed at an orderly stop', async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine, { env: { PARTITIONS: '1' } });
      [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      await server.stop();
      copy = await backUp(server);
      await server.start();
      await talk('which the backup lacks');
      await server.stop();
      await copy.restore('log');
    });
    after(() => server?.kill());

    it('is not accepted with read models of the newer log, which says how to mend it', async () => {
      const accepted = await parley(['audit', 'accept', '0'], server.settings);
      expect(accepted.code).to.equal(1);
      expect(accepted.err).to.match(
        /^parley: the read models were folded from \d+ events of partition 0 that this log does not have: .* run parley restore --here/,
      );
    });

    it('is not served, and the line says how to mend it', async () => {
      for (const readModels of ['of the newer log', 'of its own']) {
        if (readModels === 'of its own') await copy.restore('read models');
        const refused = await rejection(server.start());
        expect(refused, readModels).to.be.instanceOf(DidNotStart);
        expect(refused.message).to.match(
          /"the log is older than its vault, or another log: partition 0 has \d+ events, and \d+ were signed; put .*, or stop all servers and run parley restore --here"/,
        );
      }
    });

    it('is gone on with once an operator accepts it, with read models folded anew', async () => {
      await copy.remove('read models');
      const accepted = await parley(['audit', 'accept', '0'], server.settings);
      expect(accepted.code, accepted.err).to.equal(0);
      await server.start();
      await eventually('it is ready', async () => (await ask(server.url, 'GET /ready')).status === 200);
      await talk('which comes instead');
      const { code, out, err } = await parley(['audit', 'verify'], server.settings);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      expect(out).to.match(/\nverified: nothing is wrong\n$/);
    });
  });
