import { join } from 'node:path';
import type { EventLog } from '../log/log.js';
import type { MongoLogOptions } from '../log/mongodb.js';
import { openSqliteLog } from '../log/sqlite.js';
import { openLogReader } from '../log/sqliteReader.js';
import type { LogSource } from './frame.js';
import type { Checkpoint, ModelPartition, RowReader, RowStore } from './rows.js';
import { checkpointIn, openSqliteRows } from './rowsSqlite.js';
import { SqliteFile } from './sqliteFile.js';
import { SqliteReads } from './sqliteReads.js';
import { textReader } from './textReader.js';

/** As `openMongoLog`. The driver takes a fifth of a second of every thread that loads it: only where it is used. */
export const mongoLog = async (options: MongoLogOptions): Promise<EventLog> =>
  (await import('../log/mongodb.js')).openMongoLog(options);
const mongoRows = async (url: string) => (await import('./rowsMongodb.js')).openMongoRows(url);

/** Where log and read models are. */
export type Engine =
  | { readonly kind: 'sqlite'; readonly dataDir: string }
  | { readonly kind: 'mongodb'; readonly url: string };

/** The file of the embedded log. */
export const logFileOf = (dataDir: string): string => join(dataDir, 'log.db');

/** The file of the read models; it can be rebuilt from the log. */
export const readFileOf = (dataDir: string): string => join(dataDir, 'read.db');

/** Connections of a projector's own: it writes rows and reads a log that exists. */
export interface ProjectorEngine {
  readonly store: RowStore;
  readonly log: LogSource;
  /** The store's checkpoints of these, each in its place, read at once. */
  checkpoints(places: readonly ModelPartition[]): Promise<Checkpoint[]>;
  /** The log's. */
  readonly partitions: number;
  close(): Promise<void>;
}

/** Opens them for this thread. Throws what log and store throw. */
export async function openEngine(engine: Engine): Promise<ProjectorEngine> {
  return engine.kind === 'sqlite' ? openFiles(engine.dataDir) : openDatabase(engine.url);
}

async function openFiles(dataDir: string): Promise<ProjectorEngine> {
  const log = openLogReader(logFileOf(dataDir));
  const store = openSqliteRows(readFileOf(dataDir));
  return {
    store,
    checkpoints: (places) =>
      Promise.all(places.map(({ model, partition }) => store.checkpoint(model, partition))),
    log: { read: async (partition, after, limit) => log.read(partition, after, limit) },
    partitions: log.partitions,
    async close() {
      await store.close();
      log.close();
    },
  };
}

async function openDatabase(url: string): Promise<ProjectorEngine> {
  const log = await mongoLog({ url });
  const store = await mongoRows(url);
  return {
    store,
    log,
    checkpoints: (places) => store.checkpoints(places),
    partitions: log.partitions,
    async close() {
      await store.close();
      await log.close();
    },
  };
}

/** The log, to be written from this thread, which is one that does nothing else. Throws what the log throws. */
export function openWriterLog(engine: Engine, partitions: number | undefined): Promise<EventLog> {
  const asked = partitions === undefined ? {} : { partitions };
  return engine.kind === 'sqlite'
    ? openSqliteLog({ file: logFileOf(engine.dataDir), inThisThread: true, ...asked })
    : mongoLog({ url: engine.url, ...asked });
}

/** Rows that are folded elsewhere, read from this very thread. */
export async function openReaderHere(
  engine: Engine,
): Promise<{ readonly reader: RowReader } & Pick<RowStore, 'checkpoint' | 'close'>> {
  if (engine.kind === 'mongodb') {
    const store = await mongoRows(engine.url);
    return { reader: store, checkpoint: store.checkpoint, close: () => store.close() };
  }
  const file = openRowsFile(engine.dataDir);
  return {
    reader: textReader(new SqliteReads(file)),
    checkpoint: async (model, partition) => checkpointIn(file, model, partition),
    close: async () => file.close(),
  };
}

/** `read.db`, which exists, to be read beside the projector. */
export const openRowsFile = (dataDir: string): SqliteFile =>
  new SqliteFile(readFileOf(dataDir), { readOnly: true, pragmas: ['cache_size = -65536'] });
