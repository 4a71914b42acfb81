import { existsSync } from 'node:fs';
import type { Db } from 'mongodb';
import { type Engine, openRowsFile, readFileOf } from '../projections/engine.js';
import type { AnyModel, Checkpoint } from '../projections/rows.js';
import type { RowDocument } from '../projections/rowsMongodb.js';
import { checkpointIn } from '../projections/rowsSqlite.js';
import { quoted, type SqliteFile } from '../projections/sqliteFile.js';
import type { StoredRow } from '../projections/sqliteReads.js';
import { tableOf } from '../projections/tables.js';

/** The rows of read models as they are stored, tombstones too, their values as JSON text; only read. */
export interface StoredRows {
  /** Whether the model has a table. */
  has(model: AnyModel): Promise<boolean>;
  get(model: AnyModel, keys: readonly string[]): Promise<StoredRow[]>;
  /** By key, from behind `after`. */
  page(model: AnyModel, after: string | undefined, limit: number): Promise<StoredRow[]>;
  /** The rows of a partition whose offset is below this. */
  count(model: AnyModel, partition: number, below: number): Promise<number>;
  checkpoint(model: AnyModel, partition: number): Promise<Checkpoint>;
  close(): Promise<void>;
}

/** The rows of this engine; none where no server has ever folded any. */
export async function openStoredRows(engine: Engine): Promise<StoredRows> {
  if (engine.kind === 'mongodb') return mongoRows(engine.url);
  return existsSync(readFileOf(engine.dataDir)) ? sqliteRows(openRowsFile(engine.dataDir)) : noRows;
}

const noRows: StoredRows = {
  has: async () => false,
  get: async () => [],
  page: async () => [],
  count: async () => 0,
  checkpoint: async () => ({ position: 0, size: 0 }),
  close: async () => {},
};

/** The rows of a file: the engine's, or one that a check folded into. */
export function sqliteRows(file: SqliteFile): StoredRows {
  const columns = 'r.key, r.partition, r.offset, r.value';
  const table = (model: AnyModel) => quoted(tableOf(model));
  // Each statement names the columns of a StoredRow, in its order.
  return {
    async has(model) {
      const found = file.statement("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
      return found.get(tableOf(model)) !== undefined;
    },
    async get(model, keys) {
      // One call for all keys: most of a look-up's cost is that of the call.
      const sql = `SELECT ${columns} FROM json_each(?) k CROSS JOIN ${table(model)} r ON r.key = k.value`;
      return file.statement(sql).all(JSON.stringify(keys)) as StoredRow[];
    },
    async page(model, after, limit) {
      const from = after === undefined ? '' : 'WHERE r.key > ?';
      const sql = `SELECT ${columns} FROM ${table(model)} r ${from} ORDER BY r.key LIMIT ?`;
      return file.statement(sql).all(...(after === undefined ? [] : [after]), limit) as StoredRow[];
    },
    async count(model, partition, below) {
      const sql = `SELECT count(*) FROM ${table(model)} r WHERE r.partition = ? AND r.offset < ?`;
      const [count] = file.statement(sql).get(partition, below) as [number];
      return count;
    },
    checkpoint: async (model, partition) => checkpointIn(file, model, partition),
    close: async () => file.close(),
  };
}

async function mongoRows(url: string): Promise<StoredRows> {
  const { MongoClient } = await import('mongodb');
  const { openMongoRows } = await import('../projections/rowsMongodb.js');
  const store = await openMongoRows(url);
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000, readConcernLevel: 'majority' });
  const db: Db = client.db();
  const table = (model: AnyModel) => db.collection<RowDocument>(tableOf(model));
  return {
    has: (model) => db.listCollections({ name: tableOf(model) }).hasNext(),
    async get(model, keys) {
      return (
        await table(model)
          .find({ _id: { $in: [...keys] } })
          .toArray()
      ).map(rowOf);
    },
    async page(model, after, limit) {
      const filter = after === undefined ? {} : { _id: { $gt: after } };
      return (await table(model).find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(rowOf);
    },
    count: (model, partition, below) => table(model).countDocuments({ p: partition, o: { $lt: below } }),
    checkpoint: store.checkpoint,
    async close() {
      await store.close();
      await client.close();
    },
  };
}

const rowOf = ({ _id, p, o, v }: RowDocument): StoredRow => [
  _id,
  p,
  o,
  v === null || v === undefined ? null : JSON.stringify(v),
];
