import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteLog } from '../../log/embeddedLog.js';
import { type EventLog, readEach } from '../../log/log.js';
import { openLogReader } from '../../log/logFileReader.js';
import type { MongoLogOptions } from '../../log/mongoLog.js';
import { type CommitSource, readRetryingHole } from '../commitBuffer.js';
import { type AnyModel, type RowReader, type RowStore, tableOf } from './rowStore.js';
import { SqliteFile, SqliteReads, textReader } from './sqliteReads.js';
import { checkpointsIn, openSqliteRows } from './sqliteRows.js';

/**
 * Opens the log like `openMongoLog`. Loads the driver only here, because each thread that loads it spends 0.2
 * s.
 */
export const mongoLog = async (options: MongoLogOptions): Promise<EventLog> =>
  (await import('../../log/mongoLog.js')).openMongoLog(options);
const mongoRows = async (url: string) => (await import('./mongoRows.js')).openMongoRows(url);

/** The place of the log and the read models. */
export type Engine =
  | { readonly kind: 'sqlite'; readonly dataDir: string }
  | { readonly kind: 'mongodb'; readonly url: string };

/** The file of the embedded log. */
export const logFileOf = (dataDir: string): string => join(dataDir, 'log.db');

/** The file of the read models; it can be rebuilt from the log. */
export const readFileOf = (dataDir: string): string => join(dataDir, 'read.db');

/** Deletes all read models. The next start folds them from the log. No process may use them. */
export async function dropReadModels(engine: Engine): Promise<void> {
  if (engine.kind === 'mongodb') return (await import('./mongoRows.js')).dropMongoRows(engine.url);
  // The write-ahead log first: SQLite would apply it to a new file of the same name.
  for (const suffix of ['-wal', '-shm', ''])
    rmSync(`${readFileOf(engine.dataDir)}${suffix}`, { force: true });
}

/** A projector's own connections: it writes rows, and reads a log that exists. */
export interface ProjectorEngine {
  readonly store: RowStore;
  readonly log: CommitSource & { readonly id: string };
  /** The log's number of partitions. */
  readonly partitions: number;
  close(): Promise<void>;
}

/** Opens the connections for this thread. Throws the errors of log and store. */
export async function openEngine(engine: Engine): Promise<ProjectorEngine> {
  return engine.kind === 'sqlite' ? openFiles(engine.dataDir) : openDatabase(engine.url);
}

async function openFiles(dataDir: string): Promise<ProjectorEngine> {
  const log = openLogReader(logFileOf(dataDir));
  const store = openSqliteRows(readFileOf(dataDir));
  const read: EventLog['read'] = async (partition, after, limit) => log.read(partition, after, limit);
  return {
    store,
    log: { id: log.id, read, readNext: (places, limit) => readEach({ read }, places, limit) },
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
    partitions: log.partitions,
    async close() {
      await store.close();
      await log.close();
    },
  };
}

/**
 * Opens the log, or creates it with this number of partitions. In a database, `onCreated` is then called: several nodes
 * may start at once, and one of them creates it. Throws the errors of the log.
 */
export function openLog(engine: Engine, partitions?: number, onCreated = (): void => {}): Promise<EventLog> {
  const asked = partitions === undefined ? {} : { partitions };
  return engine.kind === 'sqlite'
    ? openSqliteLog({ file: logFileOf(engine.dataDir), ...asked })
    : mongoLog({ url: engine.url, onCreated, ...asked });
}

/** Opens rows that another thread folds, for reads in this thread. */
export async function openReaderHere(
  engine: Engine,
): Promise<{ readonly reader: RowReader } & Pick<RowStore, 'checkpoints' | 'close'>> {
  if (engine.kind === 'mongodb') {
    const store = await mongoRows(engine.url);
    return { reader: store, checkpoints: store.checkpoints, close: () => store.close() };
  }
  const file = openRowsFile(engine.dataDir);
  return {
    reader: textReader(new SqliteReads(file)),
    checkpoints: async (partitions) => checkpointsIn(file, partitions),
    close: async () => file.close(),
  };
}

/** Opens an existing `read.db`, for reads beside the projector. */
export const openRowsFile = (dataDir: string): SqliteFile =>
  new SqliteFile(readFileOf(dataDir), { readOnly: true, pragmas: ['cache_size = -65536'] });

/** The read models were folded from commits that this log does not have. The log is older, or another one. */
export class ForeignReadModels extends Error {
  override readonly name = 'ForeignReadModels';
}

/**
 * Resolves if the log has the commits that these tables were folded from. Otherwise throws
 * `ForeignReadModels`: projectors would skip new events, and streams would continue from versions that the
 * log lacks.
 */
export async function checkFoldedFromLog(
  { log, store }: Pick<ProjectorEngine, 'log' | 'store'>,
  models: readonly AnyModel[],
): Promise<void> {
  const names = new Set(models.map(tableOf));
  // Checkpoints first, because the log is never behind them.
  for (const { partition, position, size, tables } of await store.checkpoints()) {
    if (!tables.some((table) => names.has(table))) continue;
    const [commit] = await readRetryingHole(log, partition, position - 1, 1);
    if (commit?.size === size) continue;
    throw new ForeignReadModels(
      `the read models were folded from ${size} events of partition ${partition} that this log does not have: ` +
        'the log is older or another one; stop all servers and run parley restore --here, which deletes the read models',
    );
  }
}
