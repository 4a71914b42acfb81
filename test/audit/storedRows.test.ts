import { join } from 'node:path';
import { expect } from 'chai';
import { sqliteRows } from '../../src/audit/storedRows.js';
import type { Model } from '../../src/projections/store/rowStore.js';
import { SqliteFile, type StoredRow } from '../../src/projections/store/sqliteReads.js';
import { tempDir } from '../support/tempDir.js';

const model: Model<unknown> = { name: 'notes', version: 1, indexes: {} };

describe('the stored rows of a file', () => {
  const key = (n: number): string => `room-a/1${n}`;
  const row = (n: number): StoredRow => [key(n), 0, n, `{"n":${n}}`];
  const rows = [1, 2, 3].map(row);
  let file: SqliteFile;
  beforeEach(() => {
    file = new SqliteFile(join(tempDir(), 'read.db'), { pragmas: [] });
    file.exec(
      'CREATE TABLE notes_v1 (key TEXT PRIMARY KEY, partition INTEGER, offset INTEGER, value TEXT) WITHOUT ROWID',
    );
    for (const [one, partition, offset, value] of rows)
      file.statement('INSERT INTO notes_v1 VALUES (?, ?, ?, ?)').run(one, partition, offset, value);
  });
  afterEach(() => file.close());
  const has = (asked: readonly StoredRow[]): Promise<boolean> =>
    sqliteRows(file).has(
      model,
      asked.map(([one, partition, offset, text]) => ({
        key: one,
        partition,
        offset,
        value: JSON.parse(text ?? 'null'),
      })),
    );

  it('have what is stored letter for letter, whether or not others lie between', async () => {
    for (const asked of [rows, [row(2)], [row(1), row(2)], [row(3), row(1)]])
      expect(await has(asked), JSON.stringify(asked)).to.equal(true);
    file.exec(`INSERT INTO notes_v1 VALUES ('room-b/11', 0, 9, '{}')`);
    expect(await has([...rows, ['room-b/11', 0, 9, '{}']])).to.equal(true);
  });

  const changes: Record<string, string> = {
    'one is missing': `DELETE FROM notes_v1 WHERE offset = 2`,
    'one lies between that none should': `INSERT INTO notes_v1 VALUES ('${key(1)}0', 0, 9, '{}')`,
    'a value differs': `UPDATE notes_v1 SET value = '{"n":5}' WHERE offset = 2`,
    'a value is gone': `UPDATE notes_v1 SET value = NULL WHERE offset = 2`,
    'a value is of bytes': `UPDATE notes_v1 SET value = CAST(value AS BLOB) WHERE offset = 2`,
    'a partition differs': `UPDATE notes_v1 SET partition = 1 WHERE offset = 2`,
    'an offset differs': `UPDATE notes_v1 SET offset = 7 WHERE offset = 2`,
    'a partition is of bytes': `UPDATE notes_v1 SET partition = x'30' WHERE offset = 2`,
    'an offset is of bytes': `UPDATE notes_v1 SET offset = x'32' WHERE offset = 2`,
    'a value takes in the next row':
      `UPDATE notes_v1 SET value = value || char(10) || '${key(2)} 2 {"n":2}' WHERE offset = 1; ` +
      'DELETE FROM notes_v1 WHERE offset = 2',
  };
  for (const [what, sql] of Object.entries(changes))
    it(`do not have all when ${what}`, async () => {
      file.exec(sql);
      expect(await has(rows)).to.equal(false);
    });

  it('are listed by key with their places, page by page', async () => {
    const stored = sqliteRows(file);
    expect(await stored.pagePlaces(model, undefined, 2)).to.deep.equal([
      [key(1), 0, 1],
      [key(2), 0, 2],
    ]);
    expect(await stored.pagePlaces(model, key(2), 2)).to.deep.equal([[key(3), 0, 3]]);
  });

  it('are counted by partition, below an offset of each, and in no partition', async () => {
    file.exec(
      `INSERT INTO notes_v1 VALUES ('x', 1, 5, NULL), ('y', 1, 6, '{}'), ('z', 3, 0, '{}'), ('u', -1, 0, '{}')`,
    );
    expect(await sqliteRows(file).count(model, [3, 6, 1])).to.deep.equal([2, 1, 0, 2]);
  });
});
