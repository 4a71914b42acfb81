import { join } from 'node:path';
import { openSqliteLog } from '../../log/embeddedLog.js';
import type { EventLog } from '../../log/log.js';
import { openLogReader } from '../../log/logFileReader.js';
import type { MongoLogOptions } from '../../log/mongoLog.js';
import { type LogSource, readRetryingHole } from '../commitBuffer.js';
import type { AnyModel, Checkpoint, ModelPartition, RowReader, RowStore } from './rowStore.js';
import { SqliteFile, SqliteReads, textReader } from './sqliteReads.js';
import { checkpointIn, openSqliteRows } from './sqliteRows.js';

/** As `openMongoLog`. The driver takes a fifth of a second of every thread that loads it: only where it is used. */
export const mongoLog = async (options: MongoLogOptions): Promise<EventLog> =>
  (await import('../../log/mongoLog.js')).openMongoLog(options);
const mongoRows = async (url: string) => (await import('./mongoRows.js')).openMongoRows(url);

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

/** The read models were folded from commits that the log does not have: it is an older one, or another. */
export class ForeignReadModels extends Error {
  override readonly name = 'ForeignReadModels';
}

/**
 * Resolves if the log has the commit up to which each of these tables is folded. Else new events would be taken for
 * such as are folded already, and streams would go on from versions that the log has not: throws `ForeignReadModels`.
 */
export async function checkFoldedFromLog(
  { log, checkpoints, partitions }: Omit<ProjectorEngine, 'store' | 'close'>,
  models: readonly AnyModel[],
): Promise<void> {
  const places = models.flatMap((model) =>
    Array.from({ length: partitions }, (_, partition) => ({ model, partition })),
  );
  // First the checkpoints, then the log, which is ahead of them at all times.
  const found = await checkpoints(places);
  const folded = new Map<string, { partition: number; position: number; size: number; name: string }>();
  for (const [i, { model, partition }] of places.entries()) {
    const { position, size } = found[i] ?? { position: 0, size: 0 };
    // Most tables are equally far: one look is enough for them.
    if (position > 0)
      folded.set(`${partition}/${position}/${size}`, { partition, position, size, name: model.name });
  }
  for (const { partition, position, size, name } of folded.values()) {
    const [commit] = await readRetryingHole(log, partition, position - 1, 1);
    if (commit?.size === size) continue;
    throw new ForeignReadModels(
      `the read model ${name} was folded from ${size} events of partition ${partition}, which the log does not have: ` +
        'it is an older one, or another; remove the read models, as docs/audit.md says: they are folded anew',
    );
  }
}
