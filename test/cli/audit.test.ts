import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { filterNames } from '../../src/audit/events/eventFilter.js';
import { messageIdFiltersModel, messageIdsModel } from '../../src/projections/models/messageIdIndex.js';
import { logFileOf, readFileOf } from '../../src/projections/store/engine.js';
import { tableOf } from '../../src/projections/store/rowStore.js';
import { type SmallLog, smallLog } from '../audit/smallLog.js';
import { commandEngines, hasEngine } from '../support/engines.js';
import { freshDatabase } from '../support/mongo.js';
import { parley } from '../support/parley.js';
import { tempDir } from '../support/tempDir.js';

for (const engine of commandEngines)
  describe(`parley audit on ${engine}`, () => {
    let small: SmallLog;
    let env: Record<string, string>;
    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      const DATA_DIR = tempDir();
      env = { DATA_DIR };
      if (engine === 'mongodb') env.MONGO_URL = await freshDatabase();
      small = await smallLog(
        env.MONGO_URL === undefined
          ? { kind: 'sqlite', dataDir: DATA_DIR }
          : { kind: 'mongodb', url: env.MONGO_URL },
        { partitions: 2 },
      );
      env.MASTER_KEY = small.masterKey.toString('base64');
    });

    it('verifies a correct log', async () => {
      const { code, out, err } = await parley(['audit', 'verify'], env);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      expect(out).to.match(
        /^partition 0: \d+ events in \d+ commits, until 2026-01-01T\S+, root \S+\npartition 1: /,
      );
      expect(out).to.match(/^messages: 12 rows match a fresh fold$/m);
      expect(out).not.to.match(/\b1 (events|commits|rows)\b/);
      expect(out).to.match(/\nverified: nothing is wrong\n$/);
    });

    it('replays every event as JSON lines, in order', async () => {
      const { code, out, err } = await parley(['audit', 'replay'], env);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      const events = out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events).to.have.length(small.events.length);
      const times = events.map(({ recordedAt }) => recordedAt);
      expect(times).to.deep.equal(times.toSorted());
    });

    it('replays the events of a filter into a file', async () => {
      const file = join(tempDir(), 'events');
      const filter = [
        '--type',
        'MessageSent',
        '--actor',
        small.ann.toUpperCase(),
        '--until',
        '2030-01-01T01:00:00+01:00',
      ];
      const ran = await parley(['audit', 'replay', ...filter, '--out', file], env);
      expect(ran).to.deep.equal({ code: 0, out: '', err: '' });
      const events = readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events).to.have.length(12);
      expect(events[0].type).to.equal('MessageSent');
    });

    it('replays a transcript for people', async () => {
      const { out } = await parley(['audit', 'replay', '--as', 'transcript'], env);
      expect(out).to.include('message 1');
      expect(out).to.include('ann');
    });

    it('exits with 2 and one line for a filter that no event can match', async () => {
      const wrong: [string, string, string][] = [
        ['--since', 'yesterday', '2026-01-31T12:00:00Z'],
        ['--until', '2026-01-01T00:00:00.1234567890Z', 'nine decimals'],
        ['--type', 'Nothing', 'a type of event'],
        ['--actor', 'ann', 'the id of a user, or system'],
        ['--stream', `rooms:${small.annAndBob}`, 'room:'],
        ['--stream', 'room:annAndBob', 'an id'],
        ['--partition', 'first', 'the number of a partition'],
        ['--partition', '2', 'must be below 2'],
      ];
      // Only the last one is found with the log.
      for (const [option, value, hint] of engine === 'sqlite' ? wrong : wrong.slice(-1)) {
        const ran = await parley(['audit', 'replay', option, value], env);
        expect(ran, `${option} ${value}`).to.include({ code: 2, out: '' });
        expect(ran.err, `${option} ${value}`)
          .to.include(hint)
          .and.match(/^[^\n]+\n$/);
      }
    });

    it('has an option for each field of a filter', async () => {
      const { out } = await parley(['audit', 'replay', '--help'], env);
      for (const name of filterNames) expect(out).to.match(new RegExp(`--${name} <\\w+>`));
    });
  });

describe('parley audit', () => {
  it('says that read models were not compared before a server has made them', async () => {
    const DATA_DIR = tempDir();
    const { masterKey } = await smallLog({ kind: 'sqlite', dataDir: DATA_DIR });
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${readFileOf(DATA_DIR)}${suffix}`, { force: true });
    const MASTER_KEY = masterKey.toString('base64');
    const { code, out } = await parley(['audit', 'verify'], { DATA_DIR, MASTER_KEY });
    expect(code).to.equal(0);
    expect(out).to.match(
      /\nread models: not compared, they are being made; .*\nverified: nothing is wrong\n$/,
    );
  });

  it('says which events a read model does not have yet', async () => {
    const DATA_DIR = tempDir();
    const dataDir = DATA_DIR;
    const { masterKey, events } = await smallLog({ kind: 'sqlite', dataDir });
    // As after a start: this index is written last, in large batches.
    const db = new DatabaseSync(readFileOf(dataDir));
    const table = tableOf(messageIdsModel);
    db.exec(`DELETE FROM ${table}; DELETE FROM ${tableOf(messageIdFiltersModel)}`);
    expect(db.prepare('DELETE FROM checkpoints WHERE tables LIKE ?').run(`%${table}%`).changes).to.equal(1);
    db.close();
    const MASTER_KEY = masterKey.toString('base64');
    const { code, out, err } = await parley(['audit', 'verify'], { DATA_DIR, MASTER_KEY });
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    expect(out).to.match(
      new RegExp(
        `^messageIds: 0 rows match a fresh fold, without the last ${events.length} events, not yet`,
        'm',
      ),
    );
    expect(out).to.match(/^messages: 12 rows match a fresh fold$/m);
  });

  it('exits with 1 and names the first wrong place', async () => {
    const DATA_DIR = tempDir();
    const { masterKey } = await smallLog({ kind: 'sqlite', dataDir: DATA_DIR });
    const MASTER_KEY = masterKey.toString('base64');
    const db = new DatabaseSync(logFileOf(DATA_DIR));
    const { changes } = db.prepare('DELETE FROM commits_0 WHERE position = 5').run();
    db.close();
    expect(changes).to.equal(1);
    const { code, err } = await parley(['audit', 'verify'], { DATA_DIR, MASTER_KEY });
    expect(code).to.equal(1);
    expect(err).to.match(/^wrong: .*\(partition 0, position 5\)\n$/);
  });

  it('creates nothing if there is no log', async () => {
    const DATA_DIR = join(tempDir(), 'nothing');
    mkdirSync(DATA_DIR);
    for (const verb of [['verify'], ['replay']]) {
      const ran = await parley(['audit', ...verb], { DATA_DIR });
      expect(ran).to.include({ code: 1, out: '' });
      expect(ran.err).to.match(/^parley: .*\n$/);
    }
    // What a first start would have to make.
    writeFileSync(join(DATA_DIR, 'master.key'), '', { flag: 'wx' });
  });
});
