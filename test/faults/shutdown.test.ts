import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { allEngines, hasEngine, startFresh } from '../support/engines.js';
import { newDevice, signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { DidNotStart, type ServerProcess, startServer } from '../support/server.js';

const IN_FLIGHT = 200;
const CONTRACT_MS = 10_000;

for (const engine of allEngines) {
  describe(`a server that is asked to stop (${engine})`, function () {
    this.timeout(120_000);
    let server: ServerProcess;

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });

    afterEach(async () => {
      await server?.stop();
    });

    it('answers what it has begun, closes sockets with 1012, and exits with 0 within 10 s', async () => {
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off' } });
      const [ada, ben] = [await signUp(server, 'ada'), await signUp(server, 'ben')];
      const device = await newDevice(server, ada);
      const roomId = await device.chatWith(ben);
      const other = await newDevice(server, ben);
      device.close();
      other.close();
      const idle = await RawSocket.open(server.wsUrl, other.token);
      const busy = await RawSocket.open(server.wsUrl, device.token);

      const sent = Array.from({ length: IN_FLIGHT }, (_, n) => {
        const messageId = randomUUID();
        return { messageId, id: busy.send('send message', { roomId, messageId, message: `number ${n}` }) };
      });
      await busy.answer(sent[0]?.id ?? 0);
      const asked = performance.now();
      const exit = server.stop();
      expect(await Promise.all([idle.closed, busy.closed])).to.deep.equal([1012, 1012]);
      expect(await exit).to.deep.equal({ code: 0, signal: null });
      expect(performance.now() - asked).to.be.below(CONTRACT_MS);

      // What it did, it answered; and what it answered, it did.
      const answers = new Set(busy.frames.flatMap(({ id, data }) => (data ? [id] : [])));
      const answered = sent.filter(({ id }) => answers.has(id)).map(({ messageId }) => messageId);
      await server.start();
      await device.reopen();
      const history = await device.history(roomId);
      expect(history.map(({ messageId }) => messageId)).to.have.members(answered);
      device.close();
    });
  });
}

describe('a second server on the same data directory', function () {
  this.timeout(120_000);
  let first: ServerProcess;

  before(async () => {
    first = await startServer({ engine: 'sqlite' });
  });

  after(async () => {
    await first.stop();
  });

  it('is refused with one line, and the first goes on', async () => {
    const { dataDir } = first;
    // The warning of a cheap cost is not about this.
    const env = { BCRYPT_COST: '12' };
    const error = await startServer({ engine: 'sqlite', dataDir, env }).catch((e: unknown) => e);
    if (!(error instanceof DidNotStart)) throw new Error('the second server started', { cause: error });
    expect(error.exit.code).to.be.a('number').that.is.not.equal(0);
    expect(error.log.trim().split('\n')).to.have.length(1);
    expect(error.log).to.include(dataDir);
    expect((await fetch(`${first.url}/ready`)).status).to.equal(200);
  });

  it('starts once the first was killed', async () => {
    await first.kill('SIGKILL');
    first = await startServer({ engine: 'sqlite', dataDir: first.dataDir });
    expect((await fetch(`${first.url}/ready`)).status).to.equal(200);
  });
});
