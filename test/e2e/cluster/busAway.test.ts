import { expect } from 'chai';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { natsServerBinary, startNats } from '../../support/nats.js';
import { startServer } from '../../support/server.js';

describe('a server with NATS_URL', function () {
  this.timeout(120_000);

  before(async function () {
    if ((await mongoUrl()) === undefined || natsServerBinary() === undefined) this.skip();
  });

  it('starts without NATS, and is ready while it is connected', async () => {
    const nats = await startNats();
    await nats.stop();
    const env = { MONGO_URL: await freshDatabase(), NATS_URL: nats.url() };
    const server = await startServer({ engine: 'mongodb', env });
    const ready = async () => {
      const response = await fetch(`${server.url}/ready`);
      const { failing } = (await response.json()) as { failing?: string };
      return { status: response.status, failing };
    };
    try {
      for (let round = 0; round < 2; round++) {
        await eventually('NATS is missed', async () => (await ready()).status === 503);
        expect((await ready()).failing).to.equal('nats');
        await nats.start();
        await eventually('it is ready', async () => (await ready()).status === 200);
        await nats.stop();
      }
      expect(await server.stop()).to.deep.equal({ code: 0, signal: null });
    } finally {
      await server.stop();
      await nats.stop();
    }
  });
});
