import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../threads/rpc.js';
import type { Find, Range } from './rows.js';
import { SqliteFile } from './sqliteFile.js';
import { type PrefixPlace, SqliteReads } from './sqliteReads.js';

/** What the thread is given. */
export interface QueryThreadData {
  /** `read.db`, which exists. */
  readonly file: string;
}

const { file: path } = workerData as QueryThreadData;
const file = new SqliteFile(path, { readOnly: true, pragmas: ['cache_size = -65536'] });
const reads = new SqliteReads(file);

const api = {
  get: (table: string, keys: readonly string[]) => reads.get(table, keys),
  range: (table: string, range: Range) => reads.range(table, range),
  find: (table: string, index: string, find: Find) => reads.find(table, index, find),
  findPrefix: (table: string, index: string, prefix: string, limit: number, from: PrefixPlace | undefined) =>
    reads.findPrefix(table, index, prefix, limit, from),
  close: () => file.close(),
};

export type QueryApi = typeof api;

if (parentPort) serve(parentPort, api);
