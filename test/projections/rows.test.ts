import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openMongoRows } from '../../src/projections/store/mongoRows.js';
import type { RowStore } from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { prepared, promises } from '../conformance/rowStore.js';
import { defects } from '../conformance/rowStoreDefects.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { MemoryRows } from '../support/rowsMemory.js';

const directories: string[] = [];

async function sqlite(): Promise<RowStore> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-rows-'));
  directories.push(directory);
  return openSqliteRows(join(directory, 'read.db'));
}

const engines: Record<string, () => Promise<RowStore>> = {
  memory: async () => new MemoryRows(),
  SQLite: sqlite,
  MongoDB: async () => openMongoRows(await freshDatabase()),
};

for (const [engine, open] of Object.entries(engines))
  describe(`A row store on ${engine}`, () => {
    const opened: RowStore[] = [];
    const fresh = async (): Promise<RowStore> => {
      const store = await open();
      opened.push(store);
      return prepared(store);
    };

    before(async function () {
      if (engine === 'MongoDB' && (await mongoUrl()) === undefined) this.skip();
    });
    after(async () => {
      await Promise.all(opened.map((store) => store.close()));
      await Promise.all(directories.splice(0).map((path) => rm(path, { recursive: true })));
    });

    for (const [promise, check] of Object.entries(promises)) it(promise, async () => check(await fresh()));

    if (engine === 'SQLite')
      for (const [defect, { breaks, on }] of Object.entries(defects))
        it(`is seen to be broken when ${defect}`, async () => {
          const check = promises[breaks];
          if (!check) throw new Error(`no promise is named "${breaks}"`);
          const seen = await check(on(await fresh())).catch((error: unknown) => error);
          expect(seen).to.have.property('name', 'AssertionError');
        });
  });
