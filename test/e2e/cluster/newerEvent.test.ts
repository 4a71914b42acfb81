import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { buildCommit, loadHead } from '../../../src/log/commit.js';
import { openMongoLog } from '../../../src/log/mongoLog.js';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { newDevice, signUp } from '../../support/people.js';
import { RawSocket } from '../../support/rawSocket.js';
import { type ServerProcess, startServer } from '../../support/server.js';

/** An event as a newer version would write it. */
const whispered = JSON.stringify([
  'room:00000000-0000-4000-8000-000000000001',
  1,
  'MessageWhispered',
  {},
  '00000000-0000-4000-8000-00000000000a',
  '2026-01-02T03:04:05.678Z',
  '00000000-0000-4000-8000-00000000000c',
]);

describe('a node that reads an event of a newer version', function () {
  this.timeout(120_000);
  let node: ServerProcess;
  let url: string;

  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
    url = await freshDatabase();
    node = await startServer({ engine: 'mongodb', env: { MONGO_URL: url, PARTITIONS: '2' } });
  });

  after(async () => {
    await node?.stop();
  });

  it('releases its partitions, closes its sockets with 1012, and is alive but not ready', async () => {
    const device = await newDevice(node, await signUp(node, 'ada'));
    device.close();
    const socket = await RawSocket.open(node.wsUrl, device.token);
    const log = await openMongoLog({ url });
    // The node itself may be writing there: that somebody is online.
    await eventually('it is written', async () => {
      const head = await loadHead(log, 0);
      const { epoch, recordedAt } = head;
      const { commit } = buildCommit({ head, id: randomUUID(), epoch, recordedAt, leaves: [whispered] });
      return (await log.append(commit)).kind === 'committed';
    });
    await log.close();

    expect(await socket.closed).to.equal(1012);
    const ready = await fetch(`${node.url}/ready`);
    expect(ready.status).to.equal(503);
    expect(await ready.json()).to.include({ failing: 'version' });
    expect((await fetch(`${node.url}/health`)).status).to.equal(200);
    await eventually('it owns nothing', async () => {
      const text = await (await fetch(`${node.url}/metrics`)).text();
      return /^parley_partitions_owned 0$/m.test(text);
    });
    expect(await node.stop()).to.deep.equal({ code: 0, signal: null });
  });
});
