import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { searchTerms, type UserRow } from '../../src/projections/models/userNames.js';
import { eraseUsername, usersModel } from '../../src/projections/models/userRows.js';
import {
  changeGeneration,
  generationOf,
  type Row,
  readGeneration,
} from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { tempDir } from '../support/tempDir.js';

const PEOPLE = 45;

const names: Readonly<Record<string, string>> = { ada: 'Ada', ben: 'Benada' };

/** Like the users model, with names from this test. */
const model = {
  ...usersModel,
  indexes: {
    suffix: ({ key }: { key: string }) => ({ terms: searchTerms(names[key] ?? '', 'username'), sort: 0 }),
  },
};

const rowOf = (userId: string, offset: number): Row<UserRow> => ({
  key: userId,
  partition: 0,
  offset,
  value: { userId, username: 'sealed', backgroundColor: '#000000', createdAt: '' },
});

describe('The name of somebody who is erased', () => {
  it('goes from the table that is read, one that is being built, and those of earlier versions', async () => {
    const store = new MemoryRows();
    await changeGeneration(store, model, await readGeneration(store, model), { other: 1 });
    const tables = [
      ...Array.from({ length: model.version }, (_, i) => ({ ...model, version: i + 1 })),
      generationOf(model, 1),
    ];
    const found = async (table: typeof model) =>
      (await store.findPrefix(table, 'suffix', 'ada', 10)).map(({ row }) => row.key);
    for (const table of tables) {
      await store.prepare(table);
      await store.write([{ model: table, rows: [rowOf('ada', 0), rowOf('ben', 1)] }]);
      expect(await found(table)).to.deep.equal(['ada', 'ben']);
    }
    await eraseUsername(store, 'ada');
    for (const table of tables) expect(await found(table), JSON.stringify(table)).to.deep.equal(['ben']);
  });

  // SQLite leaves copies of rows in the unused part of a page that it divides. Of these names it leaves some.
  for (const group of [251, 339])
    it(`is in no byte of the file, nor of its write-ahead log (group ${group})`, async () => {
      const path = join(tempDir(), 'read.db');
      const store = openSqliteRows(path);
      const nameOf = (key: string) => createHash('sha256').update(key).digest('hex').slice(0, 16);
      const suffix = ({ key, value }: { key: string; value: UserRow }) =>
        value.erased ? undefined : { terms: searchTerms(nameOf(key), 'displayName'), sort: 0 };
      const users = { ...usersModel, indexes: { ...usersModel.indexes, suffix } };
      await store.prepare(users);
      const write = (row: Row<UserRow>) => store.write([{ model: users, rows: [row] }]);
      for (let i = 0; i < PEOPLE; i++) {
        await write(rowOf(`user ${i} of ${group}`, i));
        if (i % 3 !== 2) continue;
        const erased = `user ${i - 1} of ${group}`;
        const { value, ...row } = rowOf(erased, PEOPLE + i);
        if (value) await write({ ...row, value: { ...value, erased: true } });
        await eraseUsername(store, erased);
        for (const file of [path, `${path}-wal`])
          expect(readFileSync(file, 'latin1'), erased).not.to.include(nameOf(erased));
      }
      await store.close();
    });
});
