import { expect } from 'chai';
import { allEngines, hasEngine, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { kills } from '../support/lanes.js';
import { type Device, newDevice, signUp } from '../support/people.js';
import { upTo, withSeed } from '../support/random.js';
import type { ServerProcess } from '../support/server.js';
import { expectWhole, Ledger } from './ledger.js';

/** Messages are under way in each lane one at a time, so that each kill finds some in every state. */
const LANES = 6;
const A_LANE = 4;
const A_ROUND = LANES * A_LANE;

for (const engine of allEngines) {
  describe(`a server killed again and again while people write (${engine})`, function () {
    this.timeout(1_800_000);
    let server: ServerProcess | undefined;
    const devices: Device[] = [];

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });

    after(async () => {
      for (const device of devices) device.close();
      await server?.stop();
    });

    it(`keeps every acknowledged message, once and in its place, over ${kills} kills`, () =>
      withSeed(async (random) => {
        const running = await startFresh(engine, { env: { RATE_LIMIT: 'off' } });
        server = running;
        const [ada, ben] = [await signUp(running, 'ada'), await signUp(running, 'ben')];
        const sender = await newDevice(running, ada);
        // One is connected through it all; the other is away at each kill and resumes after it.
        const [stays, leaves] = [await newDevice(running, ben), await newDevice(running, ben)];
        devices.push(sender, stays, leaves);
        await Promise.all(devices.map(({ client }) => client.ready));
        const roomId = await sender.chatWith(ben);
        const ledger = new Ledger();

        for (let round = 1; round <= kills; round++) {
          leaves.close();
          const dies = ledger.acknowledged + upTo(A_ROUND, random);
          const from = round % 2 ? sender : stays;
          const lanes = Array.from({ length: LANES }, async (_, lane) => {
            for (let n = 1; n <= A_LANE; n++) {
              await ledger.send(from, roomId, `round ${round}, lane ${lane}, message ${n}`);
            }
          });
          // Looked at below, but it may fail before that.
          const sent = Promise.all(lanes);
          sent.catch(() => {});
          await Promise.race([ledger.until(dies), sent]);
          // Between the answer to one and the append of the next.
          for (let turns = upTo(20, random); turns > 0; turns--) await new Promise(setImmediate);
          await running.kill('SIGKILL');
          await running.start();
          await Promise.all([sent, leaves.reopen()]);

          const history = await sender.history(roomId, ledger.revision);
          expect(history).to.have.length(round * A_ROUND);
          ledger.check(roomId, history);
          await leaves.client.ready;
          await eventually('the device that was away has caught up', () => {
            return leaves.pushed.length >= history.length;
          });
        }
        // In order, without gap or duplicate, over all its connections.
        expectWhole(leaves.pushed);
        for (const { pushed } of [sender, stays]) {
          const seqs = pushed.map(({ seq }) => seq);
          expect(seqs).to.deep.equal([...new Set(seqs)].sort((a, b) => a - b));
        }
        const known = stays.timeline(roomId);
        expect(known.messages.length).to.be.at.least((kills / 2) * A_ROUND);
      }));
  });
}
