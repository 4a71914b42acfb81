import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import fc from 'fast-check';
import { openMongoRows } from '../../src/vault/mongoVaultRows.js';
import { openSqliteVaultStore, vaultFileOf } from '../../src/vault/openVault.js';
import {
  openFileRows,
  rowText,
  TABLES_OF_THE_FILE,
  VAULT_TABLES,
  type VaultRow,
  type VaultRows,
  type VaultTable,
  type VaultValue,
} from '../../src/vault/vaultTables.js';
import { runs } from '../support/lanes.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';

/** Any value of a column. Those of keys are never null, and MongoDB's numbers are at most 2^53. */
const values = {
  text: fc.string({ unit: 'grapheme' }),
  number: fc.nat(Number.MAX_SAFE_INTEGER),
  bytes: fc.uint8Array({ maxLength: 100 }),
  flag: fc.boolean(),
  list: fc.array(fc.string()),
} as const;

/** The columns that may be null. */
const OPTIONAL = new Set(['own', 'roots', 'sealed of claims', 'revokedAt', 'endedAt', 'issued', 'via']);

function rowsOf(table: VaultTable): fc.Arbitrary<VaultRow[]> {
  const columns = Object.entries(table.columns).map(([column, kind]) => {
    const isOptional = OPTIONAL.has(column) || OPTIONAL.has(`${column} of ${table.name}`);
    const value: fc.Arbitrary<VaultValue> = values[kind];
    return [column, isOptional ? fc.option(value) : value] as const;
  });
  const row: fc.Arbitrary<VaultRow> = fc.record(Object.fromEntries(columns));
  // A document's `_id` is made of the row, also where SQLite has a column of its own for it.
  const named = row.map((one) => (table.name === 'holds' ? { ...one, id: table.id(one) } : one));
  const isUnique = (one: VaultRow) => table.id(one);
  return fc.uniqueArray(named, { selector: isUnique, maxLength: 20 }).filter((all) => {
    const hashes = all.map(({ hash }) => hash);
    return table.name !== 'server_keys' || new Set(hashes).size === hashes.length;
  });
}

const textsOf = (table: VaultTable, rows: readonly VaultRow[]): string[] =>
  rows.map((row) => rowText(table, row)).sort();

async function allOf(vault: VaultRows, table: VaultTable): Promise<VaultRow[]> {
  const all: VaultRow[] = [];
  for (let page = await vault.page(table, undefined); page.length > 0; ) {
    all.push(...page);
    page = await vault.page(table, page.at(-1));
  }
  return all;
}

async function emptyFile(): Promise<VaultRows> {
  const dataDir = tempDir();
  await openSqliteVaultStore(dataDir).close();
  return openFileRows(vaultFileOf(dataDir), { readOnly: false });
}

describe('rows of the vault that go from one engine to the other', function () {
  this.timeout(180_000);
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });

  it('are the same in a file, in MongoDB and in a file again, in all pages', async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(...VAULT_TABLES.map(rowsOf)), async (tables) => {
        const vaults = [await emptyFile(), openMongoRows(await freshDatabase()), await emptyFile()];
        try {
          for (const [i, table] of VAULT_TABLES.entries()) {
            const rows = tables[i] ?? [];
            const expected = textsOf(table, rows);
            let given: readonly VaultRow[] = rows;
            for (const vault of vaults) {
              await vault.insert(table, given);
              expect(await vault.count(table), table.name).to.equal(rows.length);
              expect(textsOf(table, await vault.find(table, rows)), table.name).to.deep.equal(expected);
              given = await allOf(vault, table);
              expect(textsOf(table, given), table.name).to.deep.equal(expected);
            }
          }
        } finally {
          for (const vault of vaults) await vault.close();
        }
      }),
      { numRuns: runs(4) },
    );
  });

  it('come in pages that have a bound, also in bytes', async () => {
    const vault = await emptyFile();
    const [table] = VAULT_TABLES.filter(({ name }) => name === 'rooms');
    if (!table) throw new Error('there are rooms');
    const rows = Array.from({ length: 20 }, (_, i) => ({
      ...{ owner: 'ada', roomId: `room ${i}`, version: 1 },
      sealed: new Uint8Array(1024 * 1024),
    }));
    await vault.insert(table, rows);
    expect(await vault.page(table, undefined)).to.have.length(4);
    expect(await allOf(vault, table)).to.have.length(20);
    await vault.close();
  });
});

describe('the tables of the vault that parley move copies', () => {
  it('are all that the embedded vault has, but those of the file itself, with all their columns', async () => {
    const dataDir = tempDir();
    await openSqliteVaultStore(dataDir).close();
    const db = new DatabaseSync(vaultFileOf(dataDir), { readOnly: true });
    const namesIn = (statement: string): string[] =>
      db
        .prepare(statement)
        .all()
        .map(({ name }: { name: string }) => name);
    try {
      const tables = namesIn(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
      );
      expect([...VAULT_TABLES.map(({ name }) => name), ...TABLES_OF_THE_FILE]).to.have.members(tables);
      for (const { name, columns } of VAULT_TABLES)
        expect(Object.keys(columns), name).to.deep.equal(namesIn(`PRAGMA table_info(${name})`));
    } finally {
      db.close();
    }
  });
});
