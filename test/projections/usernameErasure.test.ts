import { expect } from 'chai';
import { changeGeneration, eraseUsername, readGeneration } from '../../src/projections/activeTables.js';
import { searchTerms, type UserRow, usersModel } from '../../src/projections/models/userRows.js';
import { generationOf, type Row } from '../../src/projections/store/rowStore.js';
import { MemoryRows } from '../support/rowsMemory.js';

const names: Readonly<Record<string, string>> = { ada: 'Ada', ben: 'Benada' };

/** Like the users model, with names from this test. */
const model = {
  ...usersModel,
  indexes: { suffix: ({ key }: { key: string }) => ({ terms: searchTerms(names[key] ?? ''), sort: 0 }) },
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
    await changeGeneration(store, { model }, await readGeneration(store, { model }), { other: 1 });
    const tables = [
      ...Array.from({ length: model.version }, (_, i) => ({ ...model, version: i + 1 })),
      generationOf(model, 1),
    ];
    const found = async (table: typeof model) =>
      (await store.findPrefix(table, 'suffix', 'ada', 10)).map(({ row }) => row.key);
    for (const table of tables) {
      await store.prepare(table);
      await store.write([{ model: table, rows: [rowOf('ada', 0), rowOf('ben', 1)], checkpoints: [] }]);
      expect(await found(table)).to.deep.equal(['ada', 'ben']);
    }
    await eraseUsername(store, 'ada');
    for (const table of tables) expect(await found(table), JSON.stringify(table)).to.deep.equal(['ben']);
  });
});
