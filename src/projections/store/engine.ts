import { join } from 'node:path';
import { openSqliteLog } from '../../log/embeddedLog.js';
import type { EventLog } from '../../log/log.js';
import { openLogReader } from '../../log/logFileReader.js';
import type { MongoLogOptions } from '../../log/mongoLog.js';
import { type CommitSource, readRetryingHole } from '../commitBuffer.js';
import type { AnyModel, Checkpoint, ModelPartition, RowReader, RowStore } from './rowStore.js';
import { SqliteFile, SqliteReads, textReader } from './sqliteReads.js';
import { checkpointIn, openSqliteRows } from './sqliteRows.js';

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

/** A projector's own connections: it writes rows, and reads a log that exists. */
export interface ProjectorEngine {
  readonly store: RowStore;
  readonly log: CommitSource;
  /** Reads these checkpoints from the store at once, in the order asked. */
  checkpoints(places: readonly ModelPartition[]): Promise<Checkpoint[]>;
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

/** Opens the log for writing in this thread, which must do nothing else. Throws the errors of the log. */
export function openWriterLog(engine: Engine, partitions: number | undefined): Promise<EventLog> {
  const asked = partitions === undefined ? {} : { partitions };
  return engine.kind === 'sqlite'
    ? openSqliteLog({ file: logFileOf(engine.dataDir), inThisThread: true, ...asked })
    : mongoLog({ url: engine.url, ...asked });
}

/** Opens rows that another thread folds, for reads in this thread. */
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
  { log, checkpoints, partitions }: Omit<ProjectorEngine, 'store' | 'close'>,
  models: readonly AnyModel[],
): Promise<void> {
  const places = models.flatMap((model) =>
    Array.from({ length: partitions }, (_, partition) => ({ model, partition })),
  );
  // Checkpoints first, because the log is never behind them.
  const found = await checkpoints(places);
  const folded = new Map<string, { partition: number; position: number; size: number; name: string }>();
  for (const [i, { model, partition }] of places.entries()) {
    const { position, size } = found[i] ?? { position: 0, size: 0 };
    // Most tables are equally far and need only one check.
    if (position > 0)
      folded.set(`${partition}/${position}/${size}`, { partition, position, size, name: model.name });
  }
  for (const { partition, position, size, name } of folded.values()) {
    const [commit] = await readRetryingHole(log, partition, position - 1, 1);
    if (commit?.size === size) continue;
    throw new ForeignReadModels(
      `the read model ${name} was folded from ${size} events of partition ${partition} that this log does not have: ` +
        'the log is older or another one; delete the read models as docs/audit.md describes, and they are rebuilt',
    );
  }
}
