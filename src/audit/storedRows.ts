import { existsSync } from 'node:fs';
import type { Db } from 'mongodb';
import type { LogSource } from '../log/checkLog.js';
import { openLogReader } from '../log/logFileReader.js';
import { DRAFT_META_TABLE, META_TABLE } from '../log/logMeta.js';
import { type Engine, logFileOf, openRowsFile, readFileOf } from '../projections/store/engine.js';
import type { RowDocument } from '../projections/store/mongoRows.js';
import { type AnyModel, type Checkpoint, foldedBy, tableOf } from '../projections/store/rowStore.js';
import { quoted, type SqliteFile, type StoredRow } from '../projections/store/sqliteReads.js';
import { checkpointsIn } from '../projections/store/sqliteRows.js';
import { MismatchError, toUnreadable } from './verify/report.js';

/** An existing log, read beside a running system or without one. */
export interface AuditedLog extends LogSource {
  readonly id: string;
  /** See `EventLog.history`. */
  readonly history: string;
  readonly partitions: number;
  close(): unknown;
}

/** The database holds no log. */
class NoLog extends Error {
  override readonly name = 'NoLog';
}

/** Opens an existing log for reading. Throws `NoLog`, or `StorageError` if the file holds no log. */
export async function openAuditedLog(engine: Engine): Promise<AuditedLog> {
  if (engine.kind === 'sqlite') return openLogReader(logFileOf(engine.dataDir));
  const { MongoClient } = await import('mongodb');
  const client = new MongoClient(engine.url, { serverSelectionTimeoutMS: 5000 });
  try {
    const there = await client
      .db()
      .listCollections({ name: { $in: [META_TABLE, DRAFT_META_TABLE] } })
      .hasNext();
    if (!there) throw new NoLog(`the database ${client.db().databaseName} holds no log`);
  } finally {
    await client.close();
  }
  const { openMongoLog } = await import('../log/mongoLog.js');
  return openMongoLog({ url: engine.url });
}

/** Read-only access to stored rows of read models, tombstones included, with values as JSON text. */
export interface StoredRows {
  /** Whether the model has a table. */
  hasTable(model: AnyModel): Promise<boolean>;
  get(model: AnyModel, keys: readonly string[]): Promise<StoredRow[]>;
  /**
   * Whether all these live rows are stored with the same text. False proves nothing, because one JSON value
   * has many texts.
   */
  has(model: AnyModel, rows: readonly StoredRow[]): Promise<boolean>;
  /** A page of rows by key, behind `after`. */
  page(model: AnyModel, after: string | undefined, limit: number): Promise<StoredRow[]>;
  /** The number of rows in each partition, from 0 on, whose offset is below the partition's entry. */
  count(model: AnyModel, below: readonly number[]): Promise<number[]>;
  checkpoint(model: AnyModel, partition: number): Promise<Checkpoint>;
  close(): Promise<void>;
}

/** Opens the rows of this engine; there are none before a server has run. */
export async function openStoredRows(engine: Engine): Promise<StoredRows> {
  if (engine.kind === 'mongodb') return mongoRows(engine.url);
  return existsSync(readFileOf(engine.dataDir)) ? sqliteRows(openRowsFile(engine.dataDir)) : noRows;
}

const noRows: StoredRows = {
  hasTable: async () => false,
  get: async () => [],
  has: async () => false,
  page: async () => [],
  count: async (_, below) => below.map(() => 0),
  checkpoint: async () => ({ position: 0, size: 0 }),
  close: async () => {},
};

/** A row as a line, if its columns have the types that are written. None of them holds a line break. */
const ROW_LINE =
  "CASE WHEN typeof(r.partition) = 'integer' AND typeof(r.offset) = 'integer' AND typeof(r.value) = 'text' " +
  "THEN r.key || ' ' || r.partition || ' ' || r.offset || ' ' || r.value END";

const rowLine = ([key, partition, offset, value]: StoredRow): string =>
  `${key} ${partition} ${offset} ${value}`;

const neighbouringRows = (table: string): string =>
  `(SELECT * FROM ${table} WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?) r`;

/**
 * Whether the keys ascend under one prefix that ends at their last slash; then the table rarely has others
 * between them.
 */
function haveCommonPrefix(keys: readonly string[]): boolean {
  const [first = ''] = keys;
  const prefix = first.slice(0, first.lastIndexOf('/') + 1);
  return keys.every((key, i) => key.startsWith(prefix) && key >= (keys[i - 1] ?? ''));
}

/** The rows of a SQLite file: the engine's, or a scratch file of `verify`. */
export function sqliteRows(file: SqliteFile): StoredRows {
  const columns = 'r.key, r.partition, r.offset, r.value';
  const table = (model: AnyModel) => quoted(tableOf(model));
  // Each statement names the columns of a StoredRow, in its order.
  return {
    async hasTable(model) {
      const found = file.statement("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
      return found.get(tableOf(model)) !== undefined;
    },
    async get(model, keys) {
      // One call for all keys, because a call costs more than a look-up.
      const sql = `SELECT ${columns} FROM json_each(?) k CROSS JOIN ${table(model)} r ON r.key = k.value`;
      return file.statement(sql).all(JSON.stringify(keys)) as StoredRow[];
    },
    async has(model, rows) {
      const keys = rows.map(([key]) => key);
      const [from, ...bounds] = haveCommonPrefix(keys)
        ? [neighbouringRows(table(model)), keys[0], keys.at(-1), keys.length + 1]
        : [`json_each(?) k CROSS JOIN ${table(model)} r ON r.key = k.value`, JSON.stringify(keys)];
      const lines = file.statement(`SELECT count(*), group_concat(${ROW_LINE}, char(10)) FROM ${from}`);
      const [count, text] = lines.get(...bounds) as [number, string | null];
      // Counted too, because a value with a line break could look like two rows.
      return count === rows.length && text === rows.map(rowLine).join('\n');
    },
    async page(model, after, limit) {
      const from = after === undefined ? '' : 'WHERE r.key > ?';
      const sql = `SELECT ${columns} FROM ${table(model)} r ${from} ORDER BY r.key LIMIT ?`;
      return file.statement(sql).all(...(after === undefined ? [] : [after]), limit) as StoredRow[];
    },
    async count(model, below) {
      // One pass over the table, because no index has the partition.
      const sums = below.map(
        (_, partition) => `count(*) FILTER (WHERE r.partition = ${partition} AND r.offset < ?)`,
      );
      const sql = `SELECT ${sums.join(', ')} FROM ${table(model)} r`;
      return file.statement(sql).get(...below) as number[];
    },
    checkpoint: async (model, partition) =>
      foldedBy(checkpointsIn(file, [partition]), [tableOf(model)], partition),
    close: async () => file.close(),
  };
}

async function mongoRows(url: string): Promise<StoredRows> {
  const { MongoClient } = await import('mongodb');
  const { openMongoRows } = await import('../projections/store/mongoRows.js');
  const store = await openMongoRows(url);
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000, readConcernLevel: 'majority' });
  const db: Db = client.db();
  const table = (model: AnyModel) => db.collection<RowDocument>(tableOf(model));
  const get: StoredRows['get'] = async (model, keys) => {
    const found = table(model).find({ _id: { $in: [...keys] } });
    return (await found.toArray()).map(rowOf);
  };
  return {
    hasTable: (model) => db.listCollections({ name: tableOf(model) }).hasNext(),
    get,
    async has(model, rows) {
      const keys = rows.map(([key]) => key);
      const found = new Map((await get(model, keys)).map((row) => [row[0], row]));
      return rows.every((row) => row.every((column, i) => column === found.get(row[0])?.[i]));
    },
    async page(model, after, limit) {
      const filter = after === undefined ? {} : { _id: { $gt: after } };
      return (await table(model).find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(rowOf);
    },
    count: (model, below) =>
      Promise.all(below.map((end, p) => table(model).countDocuments({ p, o: { $lt: end } }))),
    checkpoint: async (model, partition) =>
      foldedBy(await store.checkpoints([partition]), [tableOf(model)], partition),
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

/**
 * Wraps rows so that damage becomes a `MismatchError` that names the read model. An outage is thrown
 * unchanged.
 */
export function reportDamage(rows: StoredRows): StoredRows {
  async function sound<T>({ name }: AnyModel, read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      throw new MismatchError(toUnreadable(error, `the read model ${name}`));
    }
  }
  return {
    hasTable: (model) => sound(model, rows.hasTable(model)),
    get: (model, keys) => sound(model, rows.get(model, keys)),
    has: (model, asked) => sound(model, rows.has(model, asked)),
    page: (model, after, limit) => sound(model, rows.page(model, after, limit)),
    count: (model, below) => sound(model, rows.count(model, below)),
    checkpoint: (model, partition) => sound(model, rows.checkpoint(model, partition)),
    close: () => rows.close(),
  };
}
