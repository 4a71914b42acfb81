import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { MongoClient } from 'mongodb';
import pino from 'pino';
import { SelfCheck } from '../../src/app/lifecycle.js';
import { Newcomer } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { parley } from '../support/parley.js';
import { signUp } from '../support/people.js';
import { DidNotStart, type ServerOptions, type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const PARTS = ['log.db', 'vault.db', 'master.key'];

/** The names, modes and bytes of all files. */
const contentsOf = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [
        name,
        `${statSync(join(dir, name)).mode} ${createHash('sha256')
          .update(readFileSync(join(dir, name)))
          .digest('hex')}`,
      ]),
  );

/** The only line that a server writes that does not start. */
async function refusal(options: Omit<ServerOptions, 'engine'>): Promise<string> {
  try {
    await (await startServer({ engine: 'sqlite', ...options })).kill();
  } catch (error) {
    if (!(error instanceof DidNotStart)) throw error;
    expect(error.exit.code).to.equal(1);
    const lines = error.log
      .trim()
      .split('\n')
      .map((line): { level: string; msg: string } => JSON.parse(line));
    const fatal = lines.filter(({ level }) => level === 'fatal');
    expect(fatal, error.log).to.have.length(1);
    return fatal[0]?.msg ?? '';
  }
  throw new Error('it should not have started');
}

const isReady = async ({ url }: ServerProcess) => (await ask(url, 'GET /ready')).body;

describe('A data directory', function () {
  this.timeout(120_000);
  let used: string;
  let whole: Record<string, string>;

  before('a server has run in it', async () => {
    const server = await startServer({ engine: 'sqlite' });
    await signUp(server, 'ada');
    await server.stop();
    used = server.dataDir;
    whole = contentsOf(used);
  });

  /** A directory with these files of the used one. */
  function directoryOf(names: readonly string[]): string {
    const dir = tempDir();
    for (const name of names) copyFileSync(join(used, name), join(dir, name));
    return dir;
  }

  it('that exists keeps its mode, and its secrets are for their owner only', async () => {
    const dataDir = join(tempDir(), 'shared');
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o755);
    const server = await startServer({ engine: 'sqlite', dataDir });
    expect(statSync(dataDir).mode & 0o777).to.equal(0o755);
    const secret = readdirSync(dataDir).filter((name) => /\.(db|key)/.test(name));
    expect(secret).to.include.members([...PARTS, 'read.db', 'log.db-wal', 'vault.db-wal']);
    for (const name of secret) expect(statSync(join(dataDir, name)).mode & 0o777, name).to.equal(0o600);
    await server.stop();
  });

  for (let subset = 1; subset < 2 ** PARTS.length - 1; subset++) {
    const names = PARTS.filter((_, i) => (subset & (1 << i)) !== 0);
    const lost = PARTS.filter((name) => !names.includes(name));
    it(`with ${names.join(' and ')} alone stops the start, and is left as it is`, async () => {
      for (const others of [[], Object.keys(whole).filter((name) => !PARTS.includes(name))]) {
        const dataDir = directoryOf([...names, ...others]);
        const before = contentsOf(dataDir);
        const line = await refusal({ dataDir });
        expect(line).to.include(`has lost ${lost.join(' and ')}, but still has ${names.join(' and ')};`);
        // No backup has the key, and with the key alone the history goes on.
        expect(/put master\.key back from the place where you keep it/.test(line)).to.equal(
          lost.includes('master.key'),
        );
        const databases = lost.filter((name) => name !== 'master.key').join(' and ');
        const putBack = `put ${databases} back from a backup and run parley restore --here`;
        expect(line.includes(putBack)).to.equal(databases !== '');
        expect(line.includes('parley restore')).to.equal(databases !== '');
        expect(line).not.to.include('empty directory');
        expect(contentsOf(dataDir)).to.deep.equal(before);
      }
    });
  }

  it('needs no key file where MASTER_KEY has the key', async () => {
    const dataDir = directoryOf(Object.keys(whole).filter((name) => name !== 'master.key'));
    const MASTER_KEY = readFileSync(join(used, 'master.key'), 'utf8').trim();
    const server = await startServer({ engine: 'sqlite', dataDir, env: { MASTER_KEY } });
    await server.stop();
    expect(readdirSync(dataDir)).not.to.include('master.key');
  });

  it('is finished by the next start when the first one was cut off between its files', async () => {
    for (const cutOffWith of [[], ['log.db'], ['log.db', 'master.key']]) {
      const dataDir = tempDir();
      const begun = await startServer({ engine: 'sqlite', dataDir });
      await begun.stop();
      expect(readdirSync(dataDir)).not.to.include('first-start');
      for (const name of readdirSync(dataDir)) if (!cutOffWith.includes(name)) rmSync(join(dataDir, name));
      copyFileSync('/dev/null', join(dataDir, 'first-start'));
      const server = await startServer({ engine: 'sqlite', dataDir });
      await server.stop();
      expect(readdirSync(dataDir)).to.include.members(PARTS).and.not.include('first-start');
    }
  });

  it('with a log in a draft format stops the start before anything is written', async () => {
    const dataDir = directoryOf(PARTS);
    const db = new DatabaseSync(join(dataDir, 'log.db'));
    db.exec('PRAGMA journal_mode = DELETE; ALTER TABLE log RENAME TO meta');
    db.close();
    const before = contentsOf(dataDir);
    expect(await refusal({ dataDir })).to.match(
      /^DATA_DIR holds a log in a format from before .* empty directory$/,
    );
    expect(contentsOf(dataDir)).to.deep.equal(before);
  });

  it('with the log of an embedded system stops the start where MONGO_URL is set', async () => {
    const dataDir = directoryOf(PARTS);
    const before = contentsOf(dataDir);
    // Written as the default is, with a dot that the names of its files do not have.
    const written = `./${relative(process.cwd(), dataDir)}`;
    const line = await refusal({ dataDir: written, env: { MONGO_URL: 'mongodb://127.0.0.1:1/none' } });
    expect(line).to.match(
      /^DATA_DIR .* holds an embedded system \(log.db and vault.db\), but MONGO_URL is set;/,
    );
    expect(contentsOf(dataDir)).to.deep.equal(before);
  });

  it('gets a new log once, and the start says where', async () => {
    const server = await startServer({ engine: 'sqlite' });
    expect(server.log).to.include(`"created a new log in ${server.dataDir}"`);
    await server.stop();
    await server.start();
    expect(server.log).not.to.include('created a new log');
    await server.kill();
  });

  it('that cannot be written to stops the start with one line that names it', async () => {
    const dataDir = tempDir();
    mkdirSync(join(dataDir, 'lock'));
    const line = await refusal({ dataDir });
    expect(line).to.include(`DATA_DIR: the file lock cannot be made in ${dataDir}: `);
    expect(line).to.include('must be allowed to write there');
  });

  it('makes the server not ready when a file is deleted or replaced under it, and names the part', async () => {
    const parts = {
      'log.db': 'log',
      'vault.db-wal': 'vault',
      'master.key': 'key',
      'read.db': 'projections',
      lock: 'lock',
    };
    const loses = async (name: string, part: string) => {
      const server = await startServer({ engine: 'sqlite' });
      expect(await isReady(server)).to.deep.equal({ status: 'ready' });
      // A query: by its answer all threads have opened their files.
      await Newcomer.at(server);
      const file = join(server.dataDir, name);
      copyFileSync(file, `${file}.copy`);
      rmSync(file);
      if (name === 'log.db') copyFileSync(`${file}.copy`, file);
      await eventually(`${name} is missed`, async () => (await isReady(server)).failing === part);
      await server.kill();
    };
    // A server looks every few seconds: they wait at the same time.
    await Promise.all(Object.entries(parts).map(([name, part]) => loses(name, part)));
  });
});

describe('A database of MongoDB', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });

  for (const draft of ['meta', 'commits_0'])
    it(`with ${draft} of a draft format stops the start before anything is written`, async () => {
      const MONGO_URL = await freshDatabase();
      const client = new MongoClient(MONGO_URL);
      await client.db().collection<{ _id: string }>(draft).insertOne({ _id: 'log' });
      const dataDir = join(tempDir(), 'new');
      expect(await refusal({ dataDir, env: { MONGO_URL } })).to.match(
        /^MONGO_URL holds a log in a format from before/,
      );
      expect(() => readdirSync(dataDir)).to.throw('ENOENT');
      expect((await client.db().listCollections().toArray()).map(({ name }) => name)).to.deep.equal([draft]);
      const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
      expect(databases.map(({ name }) => name)).not.to.include(`${client.db().databaseName}_vault`);
      await client.close();
    });

  it('that cannot be reached stops the start with one line that names the setting and hides the password', async () => {
    const MONGO_URL = 'mongodb://ada:secret@127.0.0.1:1/parley';
    const dataDir = tempDir();
    const why =
      'the database mongodb://127.0.0.1:1/parley cannot be reached: connect ECONNREFUSED 127.0.0.1:1; start it, or correct';
    expect(await refusal({ dataDir, env: { MONGO_URL } })).to.equal(`MONGO_URL: ${why} MONGO_URL`);
    const { code, err } = await parley(['audit', 'check-log'], { DATA_DIR: dataDir, MONGO_URL });
    expect({ code, err }).to.deep.equal({ code: 1, err: `parley: MONGO_URL: ${why} MONGO_URL\n` });
    const server = await startServer({ engine: 'sqlite' });
    await server.stop();
    const moved = await parley(['move', '--to', MONGO_URL], { DATA_DIR: server.dataDir });
    expect(moved).to.deep.equal({ code: 1, out: '', err: `parley: --to: ${why} --to\n` });
  });

  it('gets a new log once, and the node that creates it says where', async () => {
    const MONGO_URL = await freshDatabase();
    const server = await startServer({ engine: 'mongodb', env: { MONGO_URL } });
    expect(server.log).to.match(/"created a new log in mongodb:\/\/[^"]+"/);
    await server.stop();
    await server.start();
    expect(server.log).not.to.include('created a new log');
    await server.kill();
  });

  it('whose master key is missing stops the start, and no other key is made', async () => {
    const MONGO_URL = await freshDatabase();
    const server = await startServer({ engine: 'mongodb', env: { MONGO_URL } });
    await server.stop();
    rmSync(join(server.dataDir, 'master.key'));
    const line = await refusal({ dataDir: server.dataDir, env: { MONGO_URL } });
    expect(line).to.match(
      /master\.key is missing, and the vault needs it; put it back from the place where you keep it, .* set MASTER_KEY/,
    );
    expect(readdirSync(server.dataDir)).not.to.include('master.key');
  });
});

describe('A log whose last time is ahead of the clock', () => {
  it('makes a ready server say so', async () => {
    const server = await startServer({ engine: 'sqlite' });
    await server.stop();
    const db = new DatabaseSync(join(server.dataDir, 'log.db'));
    db.exec("UPDATE commits_0 SET recordedAt = '2999-01-01T00:00:00.000Z'");
    db.close();
    await server.start();
    expect(await isReady(server)).to.deep.equal({ status: 'ready', warnings: ['clock'] });
    expect(server.log).to.match(/the log's last time is \d+ s ahead of the clock/);
    await server.kill();
  });

  const at = (minutes: number): string => new Date(Date.UTC(2026, 0, 1, 0, minutes)).toISOString();

  it('by more than 5 min is warned of, once, until the clock is right', async () => {
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line).msg) });
    let now = at(0);
    let last = at(5);
    const check = new SelfCheck({
      ...{ logger, lastTimes: async () => [at(2), last], findLost: async () => undefined },
      now: () => Date.parse(now),
    });
    const isAhead = async () => {
      await check.look();
      return check.isAhead;
    };
    expect(await isAhead(), 'by 5 min').to.equal(false);
    last = at(6);
    expect([await isAhead(), await isAhead()]).to.deep.equal([true, true]);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/^the log's last time is 360 s ahead of the clock/);
    now = at(1);
    expect(await isAhead()).to.equal(false);
    now = at(0);
    expect(await isAhead(), 'set back again').to.equal(true);
    expect(lines).to.have.length(2);
  });
});
