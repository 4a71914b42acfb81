import type { CheckedLog } from '../log/check.js';
import { openLogReader } from '../log/sqliteReader.js';
import { type Engine, logFileOf } from '../projections/engine.js';

/** A log that exists, to be read beside a running system or without one. */
export interface SourceLog extends CheckedLog {
  readonly id: string;
  readonly partitions: number;
  close(): unknown;
}

/** There is no log where one was to be audited. */
class NoLog extends Error {
  override readonly name = 'NoLog';
}

/** Opens the log only to read. Makes none: throws `NoLog`, or `StorageError` for a file that holds none. */
export async function openSource(engine: Engine): Promise<SourceLog> {
  if (engine.kind === 'sqlite') return openLogReader(logFileOf(engine.dataDir));
  const { MongoClient } = await import('mongodb');
  const client = new MongoClient(engine.url, { serverSelectionTimeoutMS: 5000 });
  try {
    const there = await client.db().listCollections({ name: 'meta' }).hasNext();
    if (!there) throw new NoLog(`the database ${client.db().databaseName} holds no log`);
  } finally {
    await client.close();
  }
  const { openMongoLog } = await import('../log/mongodb.js');
  return openMongoLog({ url: engine.url });
}
