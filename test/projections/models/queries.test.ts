import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { roomIdOf } from '../../../src/domain/ids.js';
import { openMongoRows } from '../../../src/projections/store/mongoRows.js';
import type { Model, Range, Row, RowStore } from '../../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../../src/projections/store/sqliteRows.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { MemoryRows } from '../../support/rowsMemory.js';
import { chatsSuite } from './chatsSuite.js';
import { folded, type MakeRows } from './fold.js';
import { happeningsSuite } from './happeningsSuite.js';
import { messagesSuite } from './messagesSuite.js';
import { replaySuite } from './replaySuite.js';
import { usersSuite } from './usersSuite.js';
import { World } from './world.js';

const directories: string[] = [];

// Histories of the replay's property: fewer where each one needs a new database.
const engines: Record<string, { open: MakeRows; histories: number }> = {
  memory: { open: async () => new MemoryRows(), histories: 50 },
  SQLite: { open: openSqlite, histories: 10 },
  MongoDB: { open: async () => openMongoRows(await freshDatabase()), histories: 10 },
};

for (const [engine, { open, histories }] of Object.entries(engines))
  describe(`the queries over rows on ${engine}`, () => {
    const opened: RowStore[] = [];
    const makeRows: MakeRows = async () => {
      const rows = await open();
      opened.push(rows);
      return rows;
    };

    before(async function () {
      if (engine === 'MongoDB' && (await mongoUrl()) === undefined) this.skip();
    });
    after(async () => {
      await Promise.all(opened.map((rows) => rows.close()));
      await Promise.all(directories.splice(0).map((path) => rm(path, { recursive: true })));
    });

    usersSuite(makeRows);
    chatsSuite(makeRows);
    messagesSuite(makeRows);
    happeningsSuite(makeRows, histories);
    replaySuite(makeRows, histories);
  });

describe('a query', () => {
  it('waits for the moments it is given', async () => {
    const world = new World(2);
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    const roomId = world.openChat(anna, ben);
    world.send(anna, roomId, 'hello');
    const at = [
      { partition: 0, size: 3 },
      { partition: 1, size: 2 },
    ];
    const { queries, waits } = await folded(world, new MemoryRows());
    const page = { limit: 5 };
    for (const query of [
      () => queries.users([anna], at),
      () => queries.friends(anna, page, at),
      () => queries.search(anna, 'ben', 5, at),
      () => queries.activeChats(anna, page, at),
      () => queries.chat(roomId, anna, at),
      () => queries.members(roomId, at),
      () => queries.activeFor(roomId, at),
      () => queries.messages(roomId, page, at),
      () => queries.roles([anna], at),
      () => queries.ties(anna, at),
      () => queries.blocked(anna, page, at),
      () => queries.preferences(anna, at),
      () => queries.presence(anna, [anna], at),
      () => queries.changedStreams(anna, 0, 0, page, at),
    ]) {
      await query();
      expect(waits.splice(0), String(query)).to.deep.equal(at);
    }
  });

  it('of what a stream has for a replay waits until all of the stretch is folded', async () => {
    const world = new World(3);
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    const roomId = world.openChat(anna, ben);
    const { queries, waits } = await folded(world, new MemoryRows());
    const partition = world.events.find(({ stream }) => stream === `room:${roomIdOf(anna, ben)}`)?.partition;
    await queries.missedEvents(anna, `room:${roomId}`, { since: -1, above: -1, upTo: 1 }, 5);
    expect(waits).to.deep.equal([{ partition, size: 2 }]);
  });
});

describe('a replay of one missed message', () => {
  it('costs what was missed, not what happened', async () => {
    const world = new World();
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    const roomId = world.openChat(anna, ben);
    for (let i = 0; i < 300; i++) world.send(anna, roomId, 'long ago');
    const above = world.lastOffset();
    world.send(anna, roomId, 'missed');
    const rows = new CountingRows();
    const { queries } = await folded(world, rows);
    rows.asked = 0;
    const { events } = await queries.missedEvents(
      ben,
      `room:${roomId}`,
      { since: above, above, upTo: above + 1 },
      10,
    );
    expect(events.map(({ event }) => event.offset)).to.deep.equal([above + 1]);
    expect(rows.asked).to.be.at.most(30);
  });
});

/** Counts the rows that were asked for. */
class CountingRows extends MemoryRows {
  asked = 0;

  override async get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>> {
    this.asked += keys.length;
    return super.get(model, keys);
  }

  override async range<R>(model: Model<R>, range: Range): Promise<Row<R>[]> {
    this.asked += range.limit;
    return super.range(model, range);
  }
}

async function openSqlite(): Promise<RowStore> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-models-'));
  directories.push(directory);
  return openSqliteRows(join(directory, 'read.db'));
}
