import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import { openAuditedLog } from '../../../src/audit/storedRows.js';
import { readHead } from '../../../src/audit/verify/verify.js';
import { readConfig } from '../../../src/base/settings.js';
import { findSignedLog } from '../../../src/cli/audit.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../../support/engines.js';
import { isSoak } from '../../support/lanes.js';
import { parley } from '../../support/parley.js';
import { chatOf, hear, say, two } from '../newcomer.js';

const ROUNDS = isSoak ? 4 : 1;

/** By partition the events of the log, and of its signed head. */
async function sizesOf(settings: Running['settings']): Promise<{ log: number[]; signed: number[] }> {
  const { engine, heads } = await findSignedLog(readConfig(settings));
  const source = await openAuditedLog(engine);
  try {
    const tails = await Promise.all(
      Array.from({ length: source.partitions }, (_, partition) => source.tail(partition)),
    );
    const log = tails.map((tail) => tail?.size ?? 0);
    const sizes = new Map(heads.map(readHead).map(({ partition, size }) => [partition, size]));
    return { log, signed: log.map((_, partition) => sizes.get(partition) ?? 0) };
  } finally {
    await source.close();
  }
}

for (const kind of kindsWith('nodes'))
  describe(`What is signed at an orderly stop on ${kind}`, function () {
    this.timeout(180_000);
    let running: Running;
    before(async function () {
      if (!(await hasEngine(kind))) return this.skip();
      running = await startFresh(kind);
    });
    after(() => running?.kill());

    it('is the whole log, with devices online and others that have just gone', async () => {
      const [ada, ben] = await two(running);
      for (let round = 0; round < ROUNDS; round++) {
        const [phone, tablet] = [await ada.device(), await ben.device()];
        const others = await Promise.all((await two(running)).map((other) => other.signedIn()));
        const room = await chatOf(phone, ben);
        for (let i = 0; i < 5; i++) await say(phone, room, `message ${i} of ${round}`);
        await hear(tablet, `message 4 of ${round}`);
        // That they go is still being written when the stop begins.
        const going = others.map(({ token }) => new Rest(running.url).signOut(token).catch(() => {}));
        await running.stop();
        await Promise.all(going);
        const { log, signed } = await sizesOf(running.settings);
        expect(signed, `round ${round}`).to.deep.equal(log);
        await running.start();
      }
      await running.stop();
      const verified = await parley(['audit', 'verify'], running.settings);
      expect(verified.err).to.equal('');
      expect(verified.out).to.match(/\nverified: nothing is wrong\n$/);
    });
  });
