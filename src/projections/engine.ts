import { join } from 'node:path';
import { openMongoLog } from '../log/mongodb.js';
import { openLogReader } from '../log/sqliteReader.js';
import type { LogSource } from './frame.js';
import type { RowStore } from './rows.js';
import { openMongoRows } from './rowsMongodb.js';
import { openSqliteRows } from './rowsSqlite.js';

/** Where log and read models are. */
export type Engine =
  | { readonly kind: 'sqlite'; readonly dataDir: string }
  | { readonly kind: 'mongodb'; readonly url: string };

/** The file of the read models; it can be rebuilt from the log. */
export const readFileOf = (dataDir: string): string => join(dataDir, 'read.db');

/** Connections of a projector's own: it writes rows and reads a log that exists. */
export interface ProjectorEngine {
  readonly store: RowStore;
  readonly log: LogSource;
  /** The log's. */
  readonly partitions: number;
  close(): Promise<void>;
}

/** Opens them for this thread. Throws what log and store throw. */
export async function openEngine(engine: Engine): Promise<ProjectorEngine> {
  return engine.kind === 'sqlite' ? openFiles(engine.dataDir) : openDatabase(engine.url);
}

async function openFiles(dataDir: string): Promise<ProjectorEngine> {
  const log = openLogReader(join(dataDir, 'log.db'));
  const store = openSqliteRows(readFileOf(dataDir));
  return {
    store,
    log: { read: async (partition, after, limit) => log.read(partition, after, limit) },
    partitions: log.partitions,
    async close() {
      await store.close();
      log.close();
    },
  };
}

async function openDatabase(url: string): Promise<ProjectorEngine> {
  const log = await openMongoLog({ url });
  const store = await openMongoRows(url);
  return {
    store,
    log,
    partitions: log.partitions,
    async close() {
      await store.close();
      await log.close();
    },
  };
}
