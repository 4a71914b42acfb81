import { Binary, type Collection, type Db, type Document } from 'mongodb';
import { connectMongoVault } from './mongoVault.js';
import {
  bytesOf,
  PAGE,
  type VaultRow,
  type VaultRows,
  type VaultTable,
  type VaultValue,
} from './vaultTables.js';

/** A document of the vault. */
interface VaultDocument extends Document {
  readonly _id: string;
}

/** Opens the rows of a vault in MongoDB. The URL is that of the log. */
export function openMongoRows(url: string): VaultRows {
  const { client, db } = connectMongoVault(url);
  const documents = ({ name }: VaultTable): Collection<VaultDocument> => db.collection<VaultDocument>(name);
  return {
    count: (table) => documents(table).countDocuments(),
    async page(table, after) {
      const filter = after ? { _id: { $gt: table.id(after) } } : {};
      const rows: VaultRow[] = [];
      let bytes = 0;
      for await (const document of documents(table).find(filter).sort({ _id: 1 }).limit(PAGE.rows)) {
        const row = rowOf(table, document);
        rows.push(row);
        bytes += bytesOf(row);
        if (bytes >= PAGE.bytes) break;
      }
      return rows;
    },
    async find(table, rows) {
      const found = documents(table).find({ _id: { $in: rows.map((row) => table.id(row)) } });
      return (await found.toArray()).map((document) => rowOf(table, document));
    },
    async insert(table, rows) {
      if (rows.length > 0) await documents(table).insertMany(rows.map((row) => documentOf(table, row)));
    },
    close: () => client.close(),
  };
}

/** Drops the vault in MongoDB, with its indexes. The URL is that of the log. No process may use it. */
export async function dropMongoVault(url: string): Promise<void> {
  const { client, db } = connectMongoVault(url);
  try {
    for (const name of await namesIn(db)) await db.collection(name).drop();
  } finally {
    await client.close();
  }
}

/** The names of the collections of the vault. The URL is that of the log. */
export async function listMongoVault(url: string): Promise<string[]> {
  const { client, db } = connectMongoVault(url);
  try {
    return await namesIn(db);
  } finally {
    await client.close();
  }
}

/** The names of a database's collections, without the server's own. */
export async function namesIn(db: Db): Promise<string[]> {
  const found = await db.listCollections({}, { nameOnly: true }).toArray();
  return found.map(({ name }) => name).filter((name) => !name.startsWith('system.'));
}

function documentOf(table: VaultTable, row: VaultRow): VaultDocument {
  const fields = Object.keys(table.columns)
    .filter((column) => column !== table.idColumn)
    .map((column) => {
      const value = row[column] ?? null;
      return [column, value instanceof Uint8Array ? new Binary(value) : value];
    });
  return { _id: table.id(row), ...Object.fromEntries(fields) };
}

function rowOf({ columns, idColumn }: VaultTable, { _id, ...fields }: VaultDocument): VaultRow {
  return Object.fromEntries(
    Object.keys(columns).map((column): [string, VaultValue] => {
      if (column === idColumn) return [column, _id];
      const value: unknown = fields[column] ?? null;
      // The vault's own writers and `documentOf` have written it, with the type of the column.
      return [column, value instanceof Binary ? value.value() : (value as VaultValue)];
    }),
  );
}
