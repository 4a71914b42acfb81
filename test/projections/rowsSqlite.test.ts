import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Model } from '../../src/projections/store/rowStore.js';
import { SqliteFile } from '../../src/projections/store/sqliteReads.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { tempDir } from '../support/tempDir.js';

const names: Model<string> = {
  name: 'names',
  version: 1,
  indexes: { name: ({ value }) => ({ terms: [value], sort: 0 }) },
};

const rowOf = (n: number, offset: number, value: string | null) => ({
  key: `k${n}`,
  partition: 0,
  offset,
  value,
});

describe('The file of the read models', () => {
  it('says StorageError when the disk is full, and keeps what was written before', () => {
    const file = new SqliteFile(':memory:', { pragmas: ['max_page_count = 8'] });
    file.exec('CREATE TABLE t (x)');
    const fill = () =>
      file.transaction('write', () => {
        for (let i = 0; i < 100; i++) file.statement('INSERT INTO t VALUES (randomblob(1000))').run();
      });
    expect(fill).to.throw().with.property('name', 'StorageError');
    expect(file.statement('SELECT count(*) FROM t').get()).to.deep.equal([0]);
  });

  it('has all of a write or nothing: a checkpoint that cannot be stored takes the rows with it', async () => {
    const store = openSqliteRows(':memory:');
    await store.prepare(names);
    await store.write([{ model: names, rows: [rowOf(1, 1, 'before')] }]);
    const rows = [rowOf(1, 2, 'after'), rowOf(2, 2, 'new')];
    const place = { partition: 0, tables: ['names_v1'], size: 3 };
    // SQLite takes it for NULL, which the column refuses.
    const written = store.write([{ model: names, rows }], [{ ...place, position: Number.NaN }]);
    expect(await written.catch(({ code }) => code)).to.be.a('string');
    const found = await store.get(names, ['k1', 'k2']);
    expect([...found.values()].map(({ value }) => value)).to.deep.equal(['before']);
    expect(await store.checkpoints()).to.deep.equal([]);
    await store.close();
  });

  it('holds no text of rows and index entries that were replaced', async () => {
    const path = join(tempDir(), 'read.db');
    const store = openSqliteRows(path);
    await store.prepare(names);
    const secret = (n: number) => `remember-me-not-${n}-${'x'.repeat(200)}`;
    const write = (offset: number, value: (n: number) => string | null) =>
      store.write([
        {
          model: names,
          rows: Array.from({ length: 500 }, (_, n) => rowOf(n, offset, value(n))),
        },
      ]);
    await write(1, secret);
    await write(2, () => null);
    await store.close();
    for (const file of [path, `${path}-wal`].filter((name) => existsSync(name)))
      expect(readFileSync(file).includes('remember-me-not')).to.equal(false);
  });

  it('keeps its write-ahead log bounded while rows are written and read', async () => {
    const path = join(tempDir(), 'read.db');
    const store = openSqliteRows(path);
    await store.prepare(names);
    for (let batch = 0; batch < 60; batch++) {
      const rows = Array.from({ length: 500 }, (_, n) =>
        rowOf((n * 7919) % 5000, batch * 500 + n, 'x'.repeat(4000)),
      );
      await store.write([{ model: names, rows }]);
      await store.range(names, { limit: 1 });
    }
    expect(statSync(`${path}-wal`).size).to.be.below(100 * 1024 * 1024);
    await store.close();
  });
});
