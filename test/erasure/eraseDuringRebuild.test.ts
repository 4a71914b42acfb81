import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { encodeEvent } from '../../src/domain/codec.js';
import type { NewEvent } from '../../src/domain/events.js';
import { streamOf } from '../../src/domain/ids.js';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import type { EventLog } from '../../src/log/log.js';
import { searchTerms } from '../../src/projections/models/userNames.js';
import { usersModel } from '../../src/projections/models/userRows.js';
import { type Projections, startProjections } from '../../src/projections/startProjections.js';
import { generationOf, tableOf } from '../../src/projections/store/rowStore.js';
import { eventually } from '../support/eventually.js';
import { Pages } from '../support/notebook.js';
import { tempDir } from '../support/tempDir.js';

const NAME = 'Quetzalcoatlus';
/** The term of the index for the whole name. */
const [WHOLE_NAME = ''] = searchTerms(NAME, 'username');
/** Enough users to keep a rebuild busy for several steps. */
const OTHERS = 8000;
const COMMIT_USERS = 100;

describe('Erasing a user while the users model is rebuilt', function () {
  this.timeout(120_000);
  const dataDir = tempDir();
  const ada = randomUUID();
  const pages = new Pages(0);
  let isDestroyed = false;
  let log: EventLog;
  let projections: Projections;

  before(async () => {
    log = await openSqliteLog({ file: join(dataDir, 'log.db'), partitions: 1 });
    await append(registered(ada));
    const some = () => Array.from({ length: COMMIT_USERS }, () => leafOf(registered(randomUUID()), 1));
    for (let i = 0; i < OTHERS / COMMIT_USERS; i++) await log.append(pages.nextOf(some()));
    projections = await startProjections({
      engine: { kind: 'sqlite', dataDir },
      names: {
        notes: async (texts) =>
          texts.map(({ owner }) => (owner !== ada ? `name-${owner}` : isDestroyed ? null : NAME)),
      },
      errors: {
        onFatal: (error) => expect.fail(String(error)),
        onRetry: (error) => expect.fail(String(error)),
      },
    });
  });
  after(async () => {
    await projections?.close();
    await log?.close();
  });

  it('leaves it in no table, though the new one has not got to the erasure', async () => {
    const isFolded = () => projections.progress.folded(0) > OTHERS;
    await eventually('the others are folded', isFolded);
    let isRebuilt = false;
    const rebuilt = projections.rebuild('users').then(() => {
      isRebuilt = true;
    });
    await eventually('the new table has the name', () => namesIn(1) > 0);
    isDestroyed = true;
    const size = await append({
      ...{ type: 'UserErased', stream: streamOf('user', ada), data: { userId: ada } },
    });
    await projections.progress.waitFor({ partition: 0, size });
    expect([namesIn(0), namesIn(1)], 'the old table has folded it').to.deep.equal([0, 1]);
    await projections.eraseUsername(ada);
    expect(isRebuilt, 'the rebuild has the rest before it').to.equal(false);
    expect(hasTraces(), 'traces while it goes on').to.equal(false);
    await rebuilt;
    expect(hasTraces(), 'traces when it is done').to.equal(false);
    const found = await projections.reader.findPrefix(usersModel, 'suffix', 'name-', 2);
    expect(found.length).to.equal(2);
  });

  const registered = (userId: string): NewEvent => ({
    ...{ type: 'UserRegistered', stream: streamOf('user', userId) },
    data: { userId, username: 'sealed', backgroundColor: '#000000' },
  });

  const leafOf = (event: NewEvent, version: number): string =>
    encodeEvent({
      ...{ ...event, version, actor: 'system', commandId: 'c', recordedAt: '2026-01-01T00:00:00.000Z' },
    });

  async function append(event: NewEvent): Promise<number> {
    const commit = pages.nextOf([leafOf(event, event.type === 'UserErased' ? 2 : 1)]);
    await log.append(commit);
    projections?.publish(commit);
    return commit.size;
  }

  /** The number of index entries with the name in this generation. */
  function namesIn(generation: number): number {
    const db = new DatabaseSync(join(dataDir, 'read.db'), { readOnly: true });
    try {
      const table = `${tableOf(generationOf(usersModel, generation))}__suffix`;
      if (!db.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table)) return 0;
      const row = db.prepare(`SELECT count(*) AS n FROM "${table}" WHERE term = ?`).get(WHOLE_NAME);
      return (row as { n: number }).n;
    } finally {
      db.close();
    }
  }

  const hasTraces = (): boolean =>
    readdirSync(dataDir).some((file) => readFileSync(join(dataDir, file)).includes(NAME.toLowerCase()));
});
