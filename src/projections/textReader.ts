import type { Find, Model, Range, Row, RowReader } from './rows.js';
import type { PrefixPlace, StoredMatch, StoredRow } from './sqliteReads.js';
import { tableOf } from './tables.js';

type Awaitable<T> = T | Promise<T>;

/** Reads by table name and of values as text: of this thread, or of another that has the file open. */
export interface TextReads {
  get(table: string, keys: readonly string[]): Awaitable<StoredRow[]>;
  range(table: string, range: Range): Awaitable<StoredRow[]>;
  find(table: string, index: string, find: Find): Awaitable<StoredRow[]>;
  findPrefix(
    table: string,
    index: string,
    prefix: string,
    limit: number,
    from: PrefixPlace | undefined,
  ): Awaitable<StoredMatch[]>;
}

/** A `RowReader` over rows as text. Parsing here is cheaper than letting threads clone the values. */
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
    async findPrefix<R>(model: Model<R>, index: string, prefix: string, limit: number, from?: PrefixPlace) {
      const matches = await reads.findPrefix(tableOf(model), index, prefix, limit, from);
      return matches.map(([term, row]) => ({ row: parsed<R>(row), term }));
    },
  };
}

function parsed<R>([key, partition, offset, text]: StoredRow): Row<R> {
  // What a table holds was written from rows of its model.
  return { key, partition, offset, value: text === null ? null : (JSON.parse(text) as R) };
}
