import { faultRounds } from '../../support/lanes.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { natsServerBinary } from '../../support/nats.js';
import { newSeed } from '../../support/random.js';
import { Campaign } from '../cluster/campaign.js';
import { measureOutage } from '../cluster/outage.js';
import { toxiproxyBinary } from '../cluster/toxiproxy.js';

const NODES = 3;

describe(`${NODES} nodes under faults (MongoDB, NATS)`, function () {
  this.timeout(180_000);
  const first = newSeed();
  const campaign = new Campaign(async () => {
    const [natsServer, toxiproxyServer] = [natsServerBinary(), toxiproxyBinary()];
    if (natsServer === undefined || toxiproxyServer === undefined) throw new Error('asked for before');
    return { nodes: NODES, database: await freshDatabase(), natsServer, toxiproxyServer };
  });

  before(async function () {
    const [mongo, nats, toxiproxy] = [await mongoUrl(), natsServerBinary(), toxiproxyBinary()];
    if (mongo === undefined || nats === undefined || toxiproxy === undefined) this.skip();
    await campaign.cluster();
  });

  after(() => campaign.stop());

  for (let n = 0; n < faultRounds; n++)
    it(`keep every promise in the round of seed ${(first + n) >>> 0}`, async () => {
      await campaign.play((first + n) >>> 0);
    });

  for (const [how, signal] of [
    ['killed', 'SIGKILL'],
    ['stopped', 'SIGTERM'],
  ] as const)
    it(`serve every partition again when one of them is ${how}`, async () => {
      const { longestMs, moved, partitions } = await measureOutage(await campaign.cluster(), signal, first);
      const seconds = (longestMs / 1000).toFixed(2);
      console.log(`      ${seconds} s without service at most; ${moved} of ${partitions} partitions moved`);
    });
});
