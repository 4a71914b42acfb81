import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { commandEngines, hasEngine, startFresh } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { parley } from '../../support/parley.js';
import type { ServerProcess } from '../../support/server.js';
import { tempDir } from '../../support/tempDir.js';
import { chatOf, Newcomer, say } from '../newcomer.js';
import { buildVerifier, runVerifier } from './verifier.js';

for (const engine of commandEngines)
  describe(`the signed log on ${engine}`, function () {
    this.timeout(180_000);
    let server: ServerProcess;
    let auditor: Newcomer;
    let other: Newcomer;
    let devices: Awaited<ReturnType<Newcomer['device']>>[];
    let roomId: string;

    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine, {
        env: { PARTITIONS: '2', RATE_LIMIT: 'off', LOG_ORIGIN: 'example.org/log' },
      });
      [auditor, other] = [await Newcomer.at(server), await Newcomer.at(server)];
      const env = { DATA_DIR: server.dataDir, ...server.env };
      const given = await parley(['role', 'auditor', auditor.user.username ?? ''], env);
      expect(given.code, given.err).to.equal(0);
      devices = [await auditor.device()];
      roomId = await chatOf(devices[0] as (typeof devices)[0], other); // The entry was just set.
      await write(300);
    });
    after(async () => {
      await Promise.all((devices ?? []).map((device) => device.close()));
      await server?.stop();
    });

    async function write(messages: number): Promise<void> {
      const [device] = devices;
      if (!device) throw new Error('nobody is there to write');
      for (let n = 0; n < messages; n += 50)
        await Promise.all(Array.from({ length: 50 }, (_, i) => say(device, roomId, `message ${n + i}`)));
    }
    const get = (path: string, who: { token: string | undefined } = auditor) =>
      ask(server.url, `GET /audit/log/${path}`, who);
    const sizeOf = (checkpoint: string): number => Number(checkpoint.split('\n')[1]);
    /** The partition of the room, which is the larger one. */
    async function largest(): Promise<number> {
      const heads = await Promise.all([0, 1].map((partition) => get(`${partition}/checkpoint`)));
      const [one = 0, two = 0] = heads.map(({ text: note }) => sizeOf(note));
      return one > two ? 0 : 1;
    }

    it('is verified by a program that knows nothing of this one, and goes on being so as it grows', async function () {
      const verifier = buildVerifier();
      if (verifier === undefined) return this.skip();
      const directory = tempDir();
      const keys = join(directory, 'keys');
      writeFileSync(keys, (await get('key')).text);
      const token = auditor.token;
      const verify = () => runVerifier(verifier, { url: server.url, keys, token, directory });
      const sizes = (out: string) =>
        out
          .trim()
          .split('\n')
          .map((line) => Number(line.split(' ')[1]));
      const first = await verify();
      expect(first.code, first.err).to.equal(0);
      const partition = await largest();
      const size = async () => sizeOf((await get(`${partition}/checkpoint`)).text);
      const before = await size();
      await write(300);
      // Its tiles are made a moment later.
      await eventually('the head has grown', async () => (await size()) >= before + 300);
      const second = await verify();
      expect(second.code, second.err).to.equal(0);
      const grown = Math.max(...sizes(second.out)) - Math.max(...sizes(first.out));
      expect(grown).to.be.at.least(300);
      // A stranger's key, kept elsewhere, verifies nothing.
      const stranger = 'example.org/log/0+00000000+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh';
      writeFileSync(keys, `${stranger}\n`);
      expect((await verify()).code).to.equal(1);
    });

    it('gives of an event all that is needed to check it', async () => {
      const partition = await largest();
      const { body, status } = await get(`${partition}/proof?offset=3`);
      expect(status).to.equal(200);
      expect(body).to.have.keys('offset', 'size', 'entry', 'hashes', 'checkpoint');
      expect(sizeOf(body.checkpoint)).to.equal(body.size);
      const entry: unknown = JSON.parse(Buffer.from(body.entry, 'base64').toString());
      expect(entry).to.be.an('array').with.length(7);
    });

    it('waits for a head that holds an event which is beyond the newest', async function () {
      // It waits for 5 s, which may pass on a machine that stands still for a moment.
      this.retries(2);
      const partition = await largest();
      const size = sizeOf((await get(`${partition}/checkpoint`)).text);
      const waiting = get(`${partition}/proof?offset=${size}`);
      await write(50);
      const { status, body } = await waiting;
      expect(status).to.equal(200);
      expect(body.size).to.be.above(size);
    });

    it('is overloaded after 5 s for a proof of a size, or an event, beyond the head', async () => {
      const partition = await largest();
      const beyond = ['offset=0&size=999999', 'from=1&size=999999', 'offset=999999', 'from=999999'];
      const replies = await Promise.all(beyond.map((query) => get(`${partition}/proof?${query}`)));
      for (const [i, { status, body, headers }] of replies.entries()) {
        expect([status, body.code], beyond[i]).to.deep.equal([503, 'overloaded']);
        expect(headers.get('retry-after'), beyond[i]).to.equal('1');
      }
    });

    it('serves tiles in the one way they are written, and none beyond the head', async () => {
      const partition = await largest();
      const tile = async (path: string) => (await get(`${partition}/tile/${path}`)).status;
      expect(await tile('0/000')).to.equal(200);
      expect(await tile('0/000.p/7')).to.equal(200);
      expect(await tile('0/000/'), 'a trailing slash').to.equal(200);
      expect(await tile('entries/000')).to.equal(200);
      expect(await tile('1/000.p/1')).to.equal(200);
      for (const path of [
        '0/0',
        '0/x000/000',
        '00/000',
        '0/000.p/256',
        '0/000.p/0',
        '1/000',
        '0/999',
        'entries/x001/000',
        '64/000',
      ])
        expect(await tile(path), path).to.equal(404);
    });

    it('is for auditors only', async () => {
      for (const path of ['key', '0/checkpoint', '0/tile/0/000', '0/proof?offset=0']) {
        expect((await get(path, other)).status, path).to.equal(403);
        expect((await get(path, { token: undefined })).status, path).to.equal(401);
      }
    });

    it('refuses what is no question', async () => {
      for (const query of [
        '',
        'offset=1&from=1',
        'offset=x',
        'offset=5&size=5',
        'from=6&size=5',
        'from=0',
        'offset=1&more=1',
      ])
        expect((await get(`0/proof?${query}`)).status, query).to.equal(400);
      for (const path of ['2/checkpoint', '00/checkpoint', 'x/proof?offset=0', '0/head'])
        expect((await get(path)).status, path).to.equal(404);
    });
  });
