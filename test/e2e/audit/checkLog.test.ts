import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { Binary, MongoClient } from 'mongodb';
import { COMMITS } from '../../../src/log/mongoLogMeta.js';
import { commandEngines, hasEngine, leftOutOnNodes, startFresh } from '../../support/engines.js';
import { freshDatabase } from '../../support/mongo.js';
import { commandLine } from '../../support/program.js';
import type { ServerProcess } from '../../support/server.js';
import { tempDir } from '../../support/tempDir.js';
import { talk } from '../newcomer.js';

/** Runs `parley audit check-log` with these settings. */
async function checkLog(env: Record<string, string>): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [commandLine, 'audit', 'check-log'], {
    env: { PATH: process.env.PATH, ...env },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  const [code] = await once(child, 'close');
  return { code, said };
}

/** Changes one letter of the first commit that has an event, behind the server's back. */
const tamper = {
  async sqlite(dataDir: string) {
    const db = new DatabaseSync(join(dataDir, 'log.db'));
    const row = db.prepare('SELECT position, leaves FROM commits_0 WHERE firstOffset < size LIMIT 1').get();
    const leaves = Buffer.from(
      Buffer.from(row.leaves).toString().replace('room', 'roam').replace('user', 'usher'),
    );
    db.prepare('UPDATE commits_0 SET leaves = ? WHERE position = ?').run(leaves, row.position);
    db.close();
  },
  async mongodb(url: string) {
    const client = new MongoClient(url);
    const commits = client.db().collection<{ _id: object; leaves: Binary }>(COMMITS);
    const found = await commits.findOne({ $expr: { $lt: ['$firstOffset', '$size'] } });
    const text = Buffer.from(found?.leaves.buffer ?? []).toString();
    const leaves = new Binary(Buffer.from(text.replace('room', 'roam').replace('user', 'usher')));
    await commits.updateOne({ _id: found?._id ?? {} }, { $set: { leaves } });
    await client.close();
  },
};

leftOutOnNodes('check-log', 'it reads the log, whoever wrote it');
for (const engine of commandEngines)
  describe(`check-log on ${engine}`, function () {
    this.timeout(120_000);
    let server: ServerProcess;
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });
    afterEach(() => server?.stop());

    it('finds the log of a running server whole, and one changed letter of it', async () => {
      const place: Record<string, string> = { PARTITIONS: '1' };
      if (engine === 'mongodb') place.MONGO_URL = await freshDatabase();
      server = await startFresh(engine, { env: place });
      await talk(server);
      const settings = { ...place, DATA_DIR: server.dataDir };
      const whole = await checkLog(settings);
      expect(whole.said).to.match(
        /^partition 0: \d+ commits, [1-9]\d* events.*\nlog [0-9a-f-]{36}: nothing is wrong\n$/,
      );
      expect(whole.code).to.equal(0);

      await server.stop();
      await tamper[engine](engine === 'sqlite' ? server.dataDir : (place.MONGO_URL ?? ''));
      const changed = await checkLog(settings);
      expect(changed.said).to.match(/^parley: the commit at position \d+ of partition 0 has a wrong root\n$/);
      expect(changed.code).to.equal(1);
    });

    it('says that there is none, and makes none', async () => {
      const place: Record<string, string> = { DATA_DIR: tempDir() };
      if (engine === 'mongodb') place.MONGO_URL = await freshDatabase();
      for (let n = 0; n < 2; n++) {
        const { code, said } = await checkLog(place);
        expect(said.trimEnd().split('\n')).to.have.length(1);
        expect(code).to.equal(1);
      }
    });
  });
