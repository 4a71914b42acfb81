import { DatabaseSync, type StatementSyncInstance } from '@photostructure/sqlite';
import { StorageError } from '../../log/log.js';
import { type Find, type Model, type Range, type Row, type RowReader, tableOf } from './rowStore.js';

// SQLite's primary result codes after which a further write would lose data or never succeed.
const FATAL_CODES = new Set([
  8 /* READONLY */, 10 /* IOERR */, 11 /* CORRUPT */, 13 /* FULL */, 26 /* NOTADB */,
]);

/** A connection to one file that prepares each statement once. Synchronous: for worker threads. */
export class SqliteFile {
  private readonly db: InstanceType<typeof DatabaseSync>;
  // Bounded by the number of tables and of query shapes.
  private readonly prepared = new Map<string, StatementSyncInstance>();

  constructor(path: string, options: { readonly readOnly?: boolean; readonly pragmas: readonly string[] }) {
    // Another connection may hold the write lock for one transaction of a projector.
    this.db = new DatabaseSync(path, { readOnly: options.readOnly ?? false, timeout: 10_000 });
    for (const pragma of options.pragmas) this.db.exec(`PRAGMA ${pragma}`);
  }

  exec(sql: string): void {
    this.db.exec(sql);
  }

  statement(sql: string): StatementSyncInstance {
    const known = this.prepared.get(sql);
    if (known) return known;
    const made = this.db.prepare(sql);
    made.setReturnArrays(true);
    this.prepared.set(sql, made);
    return made;
  }

  /**
   * Runs `work` in one transaction. A full or broken disk becomes a `StorageError`, after which the process
   * must stop. Other errors pass unchanged.
   */
  transaction<T>(kind: 'read' | 'write', work: () => T): T {
    try {
      this.exec(kind === 'write' ? 'BEGIN IMMEDIATE' : 'BEGIN');
      const result = work();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      // After some errors SQLite has rolled back by itself.
      if (this.db.isTransaction) this.exec('ROLLBACK');
      throw asStorageError(error);
    }
  }

  /** Drops prepared statements, whose tables may be gone, then runs `sql`. */
  change(sql: string): void {
    this.prepared.clear();
    this.exec(sql);
  }

  close(): void {
    this.prepared.clear();
    this.db.close();
  }
}

function asStorageError(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error;
  // The low byte of an extended result code is the primary one.
  const primary = Number(error.errcode) & 0xff;
  return FATAL_CODES.has(primary)
    ? new StorageError(`the read models cannot be written: ${error.message}`, { cause: error })
    : error;
}

/** Quotes a name for SQL. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A row with its value as JSON text, which crosses threads cheaply. `null` is a tombstone. */
export type StoredRow = readonly [key: string, partition: number, offset: number, value: string | null];
export type StoredMatch = readonly [term: string, row: StoredRow];
/**
 * A row's place in one index under one term. A row that can be replaced or found twice stores its places as
 * JSON.
 */
export type Entry = readonly [index: string, term: string, sort: number];

/** The last match of the previous page of a prefix search. */
export type PrefixPlace = { readonly term: string; readonly key: string };

/** Every string with a prefix sorts before the prefix followed by the last code point. */
const LAST_CODE_POINT = '\u{10FFFF}';

/** The table of an index. Its entries are written in the transaction of their rows. */
export const indexTable = (table: string, index: string): string => quoted(`${table}__${index}`);

const ROW_COLUMNS = 'key, partition, offset, value';

/** The reads of one `read.db`, by table name. Synchronous; each call sees one snapshot of the file. */
export class SqliteReads {
  constructor(private readonly file: SqliteFile) {}

  get(table: string, keys: readonly string[]): StoredRow[] {
    const statement = this.file.statement(`SELECT ${ROW_COLUMNS} FROM ${quoted(table)} WHERE key = ?`);
    // `returnArrays` and the column list make each result a StoredRow.
    return this.file.transaction('read', () => {
      const rows: StoredRow[] = [];
      for (const key of keys) {
        const row = statement.get(key) as StoredRow | undefined;
        if (row) rows.push(row);
      }
      return rows;
    });
  }

  range(table: string, { after, before, reverse, limit }: Range): StoredRow[] {
    const where = ['value IS NOT NULL'];
    if (after !== undefined) where.push('key > ?');
    if (before !== undefined) where.push('key < ?');
    const bounds = [after, before].filter((bound) => bound !== undefined);
    return this.file
      .statement(
        `SELECT ${ROW_COLUMNS} FROM ${quoted(table)} WHERE ${where.join(' AND ')} ` +
          `ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`,
      )
      .all(...bounds, limit) as StoredRow[];
  }

  /** Merges each term's first entries, so that the cost is that of the page, not of all rows of the terms. */
  find(table: string, index: string, find: Find): StoredRow[] {
    if (find.unordered) return this.#lookUp(table, index, find.terms);
    return this.file.transaction('read', () => {
      const { sql, bounds } = entriesOf(table, index, find);
      const statement = this.file.statement(sql);
      const sorts = new Map<string, number>();
      for (const term of new Set(find.terms))
        for (const [sort, key] of statement.all(term, ...bounds, find.limit) as [number, string][])
          sorts.set(key, sort);
      const byKey = this.file.statement(`SELECT ${ROW_COLUMNS} FROM ${quoted(table)} WHERE key = ?`);
      return [...sorts]
        .sort(orderOf(find))
        .slice(0, find.limit)
        .map(([key]) => byKey.get(key) as StoredRow);
    });
  }

  /** Makes one call for all terms, because a call costs more than a look-up. */
  #lookUp(table: string, index: string, terms: readonly string[]): StoredRow[] {
    const rows = ROW_COLUMNS.replaceAll(/\w+/g, 'r.$&');
    return this.file
      .statement(
        `SELECT DISTINCT ${rows} FROM json_each(?) t CROSS JOIN ${indexTable(table, index)} e ON e.term = t.value ` +
          `CROSS JOIN ${quoted(table)} r ON r.key = e.key`,
      )
      .all(JSON.stringify(terms)) as StoredRow[];
  }

  /** Pairs of key and `sort`, as one JSON text: it costs less than thousands of values. `terms` is JSON too. */
  places(table: string, index: string, terms: string, above: number | undefined): string {
    const found = this.file
      .statement(
        `SELECT json_group_array(json_array(e.key, e.sort)) FROM json_each(?) t CROSS JOIN ` +
          `${indexTable(table, index)} e ON e.term = t.value${above === undefined ? '' : ' AND e.sort > ?'}`,
      )
      .get(terms, ...(above === undefined ? [] : [above])) as [string];
    return found[0];
  }

  /** Reads entries in their order until the page is full. A row counts under its first matching term. */
  findPrefix(
    table: string,
    index: string,
    prefix: string,
    limit: number,
    from: PrefixPlace | undefined,
  ): StoredMatch[] {
    const statement = this.file.statement(
      `SELECT e.term, r.entries, ${ROW_COLUMNS.replaceAll(/\w+/g, 'r.$&')} FROM ${indexTable(table, index)} e ` +
        `JOIN ${quoted(table)} r ON r.key = e.key ` +
        `WHERE e.term >= ? AND e.term < ? ${from ? 'AND (e.term, e.key) > (?, ?) ' : ''}` +
        'ORDER BY e.term, e.key',
    );
    const start = from && from.term > prefix ? from.term : prefix;
    const behind = from ? [from.term, from.key] : [];
    const matches: StoredMatch[] = [];
    for (const found of statement.iterate(start, prefix + LAST_CODE_POINT, ...behind)) {
      const [term, entries, ...row] = found as [string, string | null, ...StoredRow];
      if (entries !== null && term !== firstTerm(JSON.parse(entries), index, prefix)) continue;
      matches.push([term, row]);
      if (matches.length === limit) break;
    }
    return matches;
  }
}

function firstTerm(entries: readonly Entry[], index: string, prefix: string): string | undefined {
  const matching = entries.filter((entry) => entry[0] === index && entry[1].startsWith(prefix));
  return matching.map(([, term]) => term).sort(byteOrder)[0];
}

// Compares by UTF-8 bytes, like SQLite.
const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The query for one term's entries in the order asked. `from` replaces the bound that it lies within. */
function entriesOf(table: string, index: string, find: Find): { sql: string; bounds: (number | string)[] } {
  const { above, below, from, reverse = false, byKey = false } = find;
  const where = ['term = ?'];
  const bounds: (number | string)[] = [];
  const bound = (clause: string, ...values: (number | string)[]) => {
    where.push(clause);
    bounds.push(...values);
  };
  const [behind, direction] = reverse ? ['<', 'DESC'] : ['>', 'ASC'];
  if (above !== undefined && (byKey || reverse || !from)) bound('sort > ?', above);
  if (below !== undefined && (byKey || !reverse || !from)) bound('sort < ?', below);
  if (from && byKey) bound(`key ${behind} ?`, from.key);
  if (from && !byKey) bound(`(sort, key) ${behind} (?, ?)`, from.sort, from.key);
  const order = byKey ? `key ${direction}` : `sort ${direction}, key ${direction}`;
  const sql =
    `SELECT sort, key FROM ${indexTable(table, index)} WHERE ${where.join(' AND ')} ` +
    `ORDER BY ${order} LIMIT ?`;
  return { sql, bounds };
}

function orderOf({ reverse, byKey }: Find): (a: [string, number], b: [string, number]) => number {
  const sign = reverse ? -1 : 1;
  return ([keyA, sortA], [keyB, sortB]) => {
    if (!byKey && sortA !== sortB) return sign * (sortA - sortB);
    return sign * byteOrder(keyA, keyB);
  };
}

type Awaitable<T> = T | Promise<T>;

/** Reads by table name, with values as text. Another thread may serve them. */
export interface TextReads {
  get(table: string, keys: readonly string[]): Awaitable<StoredRow[]>;
  range(table: string, range: Range): Awaitable<StoredRow[]>;
  find(table: string, index: string, find: Find): Awaitable<StoredRow[]>;
  places(table: string, index: string, terms: string, above: number | undefined): Awaitable<string>;
  findPrefix(
    table: string,
    index: string,
    prefix: string,
    limit: number,
    from: PrefixPlace | undefined,
  ): Awaitable<StoredMatch[]>;
}

/** Creates a `RowReader` over rows as text. Parsing here is cheaper than cloning values between threads. */
export function textReader(reads: TextReads): RowReader {
  return {
    async get<R>(model: Model<R>, keys: readonly string[]) {
      const rows = await reads.get(tableOf(model), keys);
      return new Map(rows.map((row) => [row[0], parsed<R>(row)]));
    },
    async range<R>(model: Model<R>, range: Range) {
      return (await reads.range(tableOf(model), range)).map(parsed<R>);
    },
    async find<R>(model: Model<R>, index: string, find: Find) {
      return (await reads.find(tableOf(model), index, find)).map(parsed<R>);
    },
    async places(model, index, { terms, above }) {
      // The pairs of `SqliteReads`.
      const text = await reads.places(tableOf(model), index, JSON.stringify(terms), above);
      return new Map(JSON.parse(text) as [key: string, sort: number][]);
    },
    async findPrefix<R>(model: Model<R>, index: string, prefix: string, limit: number, from?: PrefixPlace) {
      const matches = await reads.findPrefix(tableOf(model), index, prefix, limit, from);
      return matches.map(([term, row]) => ({ row: parsed<R>(row), term }));
    },
  };
}

function parsed<R>([key, partition, offset, text]: StoredRow): Row<R> {
  // A table holds rows of its own model.
  return { key, partition, offset, value: text === null ? null : (JSON.parse(text) as R) };
}
