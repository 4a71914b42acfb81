import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LogSource } from '../log/checkLog.js';
import { openLogReader } from '../log/logFileReader.js';
import { DRAFT_META_TABLE, META_TABLE } from '../log/logMeta.js';
import { type Engine, logFileOf, openRowsFile, readFileOf } from '../projections/store/engine.js';
import { type AnyModel, type Row, type StoredCheckpoint, tableOf } from '../projections/store/rowStore.js';
import {
  type Entry,
  indexTable,
  quoted,
  SqliteFile,
  type StoredRow,
} from '../projections/store/sqliteReads.js';
import { checkpointsIn, keptText } from '../projections/store/sqliteRows.js';
import { MismatchError, toUnreadable } from './verify/report.js';

/** An existing log, read beside a running system or without one. */
export interface AuditedLog extends LogSource {
  readonly id: string;
  /** See `EventLog.history`. */
  readonly history: string;
  readonly partitions: number;
  close(): unknown;
}

/** Collections of a cluster's nodes: none of them is read by a query. */
export const CLUSTER_COLLECTIONS: readonly string[] = ['sign_in_buckets', 'leases', 'members', 'devices'];

/** The database holds no log. */
class NoLog extends Error {
  override readonly name = 'NoLog';
}

/** Opens an existing log for reading. Throws `NoLog`, or `StorageError` if the file holds no log. */
export async function openAuditedLog(engine: Engine): Promise<AuditedLog> {
  if (engine.kind === 'sqlite') {
    const file = logFileOf(engine.dataDir);
    if (!existsSync(file)) throw new NoLog(`DATA_DIR (${resolve(engine.dataDir)}) holds no log`);
    return openLogReader(file);
  }
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
   * Whether all these live rows of one partition are stored with the text that their values have here. False proves
   * nothing, because one JSON value has many texts.
   */
  has(model: AnyModel, rows: readonly Row<unknown>[]): Promise<boolean>;
  /** A page of rows by key, behind `after`. */
  page(model: AnyModel, after: string | undefined, limit: number): Promise<StoredRow[]>;
  /** The places of a page of rows, without their values. */
  pagePlaces(model: AnyModel, after: string | undefined, limit: number): Promise<PlacedKey[]>;
  /** A page of rows as `page` gives it, each with the index entries that it keeps. */
  pageIndexed(model: AnyModel, after: string | undefined, limit: number): Promise<IndexedRow[]>;
  /** A page of a partition's rows at this offset or a later one, by key. */
  pageAhead(model: AnyModel, from: Place, after: string | undefined, limit: number): Promise<StoredRow[]>;
  /** Whether a row with these index entries is stored with what it keeps of them. */
  isKept(model: AnyModel, kept: string | null, entries: readonly Entry[]): boolean;
  /** What two keys have in common behind their slash. */
  findShared(model: AnyModel): Promise<string | undefined>;
  /**
   * The number of rows in each partition, from 0 on, whose offset is below the partition's entry; last the number of
   * rows in no partition.
   */
  count(model: AnyModel, below: readonly number[]): Promise<number[]>;
  /** The entries of indexes, where they have tables of their own. On MongoDB they are in the rows. */
  readonly entryTables?: EntryTables;
  checkpoints(): Promise<StoredCheckpoint[]>;
  close(): Promise<void>;
}

/** A partition and the offset of an event. */
interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** The key of a row, and the event that it was stored at. */
export type PlacedKey = readonly [key: string, partition: number, offset: number];

/** A row, and what it keeps of its index entries. */
export interface IndexedRow {
  readonly row: StoredRow;
  readonly kept: string | null;
}

/** An entry of one index. */
export type EntryRow = readonly [term: string, sort: number, key: string];

/** An entry that a row at an offset must have. */
export type ExpectedEntry = readonly [...EntryRow, offset: number];

/** Read-only access to the tables of indexes. */
export interface EntryTables {
  /** Whether these entries, and no others, lie under their terms. False proves nothing: terms may be shared. */
  has(model: AnyModel, index: string, entries: readonly ExpectedEntry[]): Promise<boolean>;
  /** The first of these entries that is missing although its row is stored at this offset. */
  findMissing(
    model: AnyModel,
    index: string,
    entries: readonly ExpectedEntry[],
  ): Promise<EntryRow | undefined>;
  /** A page of an index in its order, behind `after`. An entry without a row has no value. */
  page(
    model: AnyModel,
    index: string,
    after: EntryRow | undefined,
    limit: number,
  ): Promise<{ readonly entry: EntryRow; readonly row: StoredRow | undefined }[]>;
  /** Whether each live row has one entry in each index, and keeps none, by number. False proves nothing. */
  areOneEach(model: AnyModel): Promise<boolean>;
}

/** Opens the rows of this engine; there are none before a server has run. */
export async function openStoredRows(engine: Engine): Promise<StoredRows> {
  // Loads the driver only where it is used.
  if (engine.kind === 'mongodb')
    return (await import('./storedDocuments.js')).openStoredDocuments(engine.url);
  return existsSync(readFileOf(engine.dataDir)) ? sqliteRows(openRowsFile(engine.dataDir)) : noRows;
}

const noRows: StoredRows = {
  hasTable: async () => false,
  get: async () => [],
  has: async () => false,
  page: async () => [],
  pagePlaces: async () => [],
  pageIndexed: async () => [],
  pageAhead: async () => [],
  isKept: () => true,
  findShared: async () => undefined,
  count: async (_, below) => below.map(() => 0),
  checkpoints: async () => [],
  close: async () => {},
};

/**
 * A row of a partition as a line, if its columns have the types that are written: an integer is below each text and
 * blob, and a text below each blob. To compare is cheaper than `typeof`. No column holds a line break.
 */
const ROW_LINE =
  `CASE WHEN r.partition = ? AND r.offset BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER} AND r.value < x'' ` +
  "THEN r.key || ' ' || r.offset || ' ' || r.value END";

const rowLine = ({ key, offset, value }: Row<unknown>): string => `${key} ${offset} ${JSON.stringify(value)}`;

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
      const keys = rows.map(({ key }) => key);
      const [from, ...bounds] = haveCommonPrefix(keys)
        ? [neighbouringRows(table(model)), keys[0], keys.at(-1), keys.length + 1]
        : [`json_each(?) k CROSS JOIN ${table(model)} r ON r.key = k.value`, JSON.stringify(keys)];
      const lines = file.statement(`SELECT count(*), group_concat(${ROW_LINE}, char(10)) FROM ${from}`);
      const [count, text] = lines.get(rows[0]?.partition ?? 0, ...bounds) as [number, string | null];
      // Counted too, because a value with a line break could look like two rows.
      return count === rows.length && text === rows.map(rowLine).join('\n');
    },
    async page(model, after, limit) {
      const from = after === undefined ? '' : 'WHERE r.key > ?';
      const sql = `SELECT ${columns} FROM ${table(model)} r ${from} ORDER BY r.key LIMIT ?`;
      return file.statement(sql).all(...(after === undefined ? [] : [after]), limit) as StoredRow[];
    },
    async pagePlaces(model, after = '', limit) {
      const sql = `SELECT key, partition, offset FROM ${table(model)} WHERE key > ? ORDER BY key LIMIT ?`;
      return file.statement(sql).all(after, limit) as [string, number, number][];
    },
    async count(model, below) {
      // One pass over the table, because no index has the partition.
      const sums = below.map(
        (_, partition) => `count(*) FILTER (WHERE r.partition = ${partition} AND r.offset < ?)`,
      );
      const others = `count(*) FILTER (WHERE r.partition NOT BETWEEN 0 AND ${below.length - 1})`;
      const sql = `SELECT ${[...sums, others].join(', ')} FROM ${table(model)} r`;
      return file.statement(sql).get(...below) as number[];
    },
    async pageIndexed(model, after, limit) {
      const from = after === undefined ? '' : 'WHERE r.key > ?';
      const sql = `SELECT ${columns}, r.entries FROM ${table(model)} r ${from} ORDER BY r.key LIMIT ?`;
      const found = file.statement(sql).all(...(after === undefined ? [] : [after]), limit);
      return (found as [...StoredRow, string | null][]).map(([key, partition, offset, value, kept]) => ({
        row: [key, partition, offset, value],
        kept,
      }));
    },
    async pageAhead(model, { partition, offset }, after = '', limit) {
      const sql = `SELECT ${columns} FROM ${table(model)} r WHERE r.partition = ? AND r.offset >= ? AND r.key > ? ORDER BY r.key LIMIT ?`;
      return file.statement(sql).all(partition, offset, after, limit) as StoredRow[];
    },
    // What follows from the row may be kept all the same.
    isKept: (model, kept, entries) =>
      kept === null ? keptText(model, entries) === null : kept === JSON.stringify(entries),
    async findShared(model) {
      const part = "substr(key, instr(key, '/') + 1)";
      const sql = `SELECT ${part} FROM ${table(model)} GROUP BY ${part} HAVING count(*) > 1 LIMIT 1`;
      return (file.statement(sql).get() as [string] | undefined)?.[0];
    },
    entryTables: entryTables(file),
    checkpoints: async () => checkpointsIn(file),
    close: async () => file.close(),
  };
}

/** What SQLite keeps of a table, index, view or trigger. */
type SchemaPart = readonly [kind: string, name: string, table: string, sql: string | null];

/** Kind and name of each part of a file, with its definition. */
export function readSchema(path: string): Map<string, string> {
  const file = new SqliteFile(path, { readOnly: true, pragmas: [] });
  try {
    const parts = file.statement('SELECT type, name, tbl_name, sql FROM sqlite_master').all() as SchemaPart[];
    const hasDescription = parts.some(([, name]) => name === META_TABLE);
    const descriptions = hasDescription ? file.statement(`SELECT count(*) FROM ${META_TABLE}`).get() : 1;
    const pragmas = ['user_version', 'application_id', 'encoding'].map((name): [string, string] => [
      `setting ${name}`,
      String(file.statement(`PRAGMA ${name}`).get()),
    ]);
    return new Map([
      ...parts.map(([kind, name, table, sql]): [string, string] => [
        `${kind} ${name}`,
        `${table}: ${sql?.replaceAll(/\s+/g, ' ')}`,
      ]),
      ...pragmas,
      ['number of descriptions', String(descriptions)],
    ]);
  } finally {
    file.close();
  }
}

function entryTables(file: SqliteFile): EntryTables {
  const table = (model: AnyModel, index: string) => indexTable(tableOf(model), index);
  const rows = (model: AnyModel) => quoted(tableOf(model));
  // Each statement names the columns of its result, in their order.
  return {
    async has(model, index, entries) {
      const sql =
        `SELECT count(*), group_concat(e.sort || ' ' || e.key, char(10)) ` +
        `FROM json_each(?) t CROSS JOIN ${table(model, index)} e ON e.term = t.value`;
      const terms = JSON.stringify(entries.map(([term]) => term));
      const [count, text] = file.statement(sql).get(terms) as [number, string | null];
      const places = entries.map(([, sort, key]) => `${sort} ${key}`).join('\n');
      return count === entries.length && (text ?? '') === places;
    },
    async findMissing(model, index, entries) {
      const part = (i: number) => `json_extract(x.value, '$[${i}]')`;
      const sql =
        `SELECT ${part(0)}, ${part(1)}, ${part(2)} FROM json_each(?) x ` +
        `WHERE EXISTS (SELECT 1 FROM ${rows(model)} r WHERE r.key = ${part(2)} AND r.offset = ${part(3)}) ` +
        `AND NOT EXISTS (SELECT 1 FROM ${table(model, index)} e ` +
        `WHERE e.term = ${part(0)} AND e.sort = ${part(1)} AND e.key = ${part(2)}) LIMIT 1`;
      return file.statement(sql).get(JSON.stringify(entries)) as EntryRow | undefined;
    },
    async page(model, index, after, limit) {
      const from = after === undefined ? '' : 'WHERE (term, sort, key) > (?, ?, ?)';
      const sql =
        'SELECT e.term, e.sort, e.key, r.key, r.partition, r.offset, r.value ' +
        `FROM (SELECT * FROM ${table(model, index)} ${from} ORDER BY term, sort, key LIMIT ?) e ` +
        `LEFT JOIN ${rows(model)} r ON r.key = e.key ORDER BY e.term, e.sort, e.key`;
      const found = file.statement(sql).all(...(after ?? []), limit) as [...EntryRow, ...StoredRow][];
      return found.map(([term, sort, key, ...row]) => ({
        entry: [term, sort, key],
        row: row[0] === null ? undefined : row,
      }));
    },
    async areOneEach(model) {
      const counts = Object.keys(model.indexes).map((name) => `(SELECT count(*) FROM ${table(model, name)})`);
      const sql = `SELECT ${['count(r.value)', 'count(r.entries)', ...counts].join(', ')} FROM ${rows(model)} r`;
      const [live = 0, kept, ...entries] = file.statement(sql).get() as number[];
      return kept === 0 && entries.every((count) => count === live);
    },
  };
}

/**
 * Wraps rows so that damage becomes a `MismatchError` that names the read model. An outage is thrown
 * unchanged.
 */
export function reportDamage({ entryTables, ...rows }: StoredRows): StoredRows {
  return { ...sound(rows), ...(entryTables && { entryTables: sound(entryTables) }) };
}

/** Wraps every function of an object whose functions take a model first, if anything. */
function sound<T extends object>(reads: T): T {
  const wrap =
    (read: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      const result = read(...args);
      if (!(result instanceof Promise)) return result;
      // The first argument is a model, or there is none.
      const model = args[0] as AnyModel | undefined;
      const whose = model ? `the read model ${model.name}` : 'the read models';
      return result.catch((error: unknown) => {
        throw new MismatchError(toUnreadable(error, whose));
      });
    };
  // Each function keeps its type: the wrapper passes arguments and result on.
  return Object.fromEntries(Object.entries(reads).map(([name, read]) => [name, wrap(read)])) as T;
}
