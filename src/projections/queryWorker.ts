import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../threads/rpc.js';
import { openRowsFile } from './engine.js';
import type { Find, Range } from './rows.js';
import { type PrefixPlace, SqliteReads } from './sqliteReads.js';

/** What the thread is given. */
export interface QueryThreadData {
  /** Where `read.db` is. */
  readonly dataDir: string;
}

// The thread is started with these by the host of the read models.
const { dataDir } = workerData as QueryThreadData;
const file = openRowsFile(dataDir);
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
