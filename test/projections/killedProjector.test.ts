import { join } from 'node:path';
import { expect } from 'chai';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import type { Folded } from '../../src/projections/projection.js';
import {
  foldedBy,
  generationOf,
  type RowStore,
  type StoredCheckpoint,
  tableOf,
} from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { start } from '../log/child.js';
import { kills } from '../support/lanes.js';
import { allProjections, digestsModel, foldedRows, rowsOf, story } from '../support/notebook.js';
import { upTo, withSeed } from '../support/random.js';
import { tempDir } from '../support/tempDir.js';

/** The length of the story; a new file is begun when it is told. */
const COMMITS = 2000;
const live = allProjections()
  .map(({ model }) => tableOf(model))
  .sort();

describe('A projector of the embedded engine that is killed', function () {
  this.timeout(600_000);

  it(`leaves all live models at one checkpoint, and exactly the rows up to it, over ${kills} kills`, () =>
    withSeed(async (random) => {
      let file = join(tempDir(), 'read.db');
      const events = story(COMMITS).flatMap((commit) => decodeCommit(commit).events);
      for (let round = 0, before = 0; round < kills; round++) {
        const child = start(new URL('./foldingChild.js', import.meta.url), file, String(COMMITS));
        for (let lines = 1 + upTo(40, random); lines > 0; lines--) await child.lines.next();
        for (let turns = upTo(40, random); turns > 0; turns--) await new Promise(setImmediate);
        await child.kill();
        const store = openSqliteRows(file);
        const { size, tables } = await onlyCheckpoint(store);
        expect(tables).to.deep.equal(live);
        expect(size).to.be.above(before);
        before = size === events.length ? 0 : size;
        await expectRows(store, events.slice(0, size));
        await expectDigests(store, events);
        await store.close();
        if (before === 0) file = join(tempDir(), 'read.db');
      }
    }));
});

/** The live models have one checkpoint, and the table that is being built has another. */
async function onlyCheckpoint(store: RowStore): Promise<StoredCheckpoint> {
  const stored = await store.checkpoints();
  const found = stored.filter(({ tables }) => tables.some((table) => live.includes(table)));
  expect(found).to.have.length(1);
  return found[0] ?? expect.fail();
}

async function expectRows(store: RowStore, events: readonly Folded[]): Promise<void> {
  expect(await rowsOf(store, events)).to.deep.equal(foldedRows(events));
}

/** The table that is being built has exactly the rows up to its own checkpoint. */
async function expectDigests(store: RowStore, events: readonly Folded[]): Promise<void> {
  const built = generationOf(digestsModel, 1);
  const { size } = foldedBy(await store.checkpoints(), [tableOf(built)], 0);
  expect(size).to.be.above(0);
  const expected = foldedRows(events.slice(0, size));
  for (const { key, offset, value } of await store.range(built, { limit: 100 }))
    expect(JSON.stringify([offset, value]), key).to.equal(expected.get(`digests ${key}`));
}
