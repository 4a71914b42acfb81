import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import type { Config } from './config.js';
import { fileHeartbeat, type Heartbeat, mongoHeartbeat } from './gateway/heartbeat.js';
import { type DataDirLock, lockDataDir } from './log/dataDir.js';
import type { EventLog } from './log/log.js';
import { openMongoLog } from './log/mongodb.js';
import { openSqliteLog } from './log/sqlite.js';
import type { Engine } from './projections/engine.js';

/** Where everything durable is, opened: the log and what tells when this system last lived. */
export interface OpenEngine {
  readonly place: Engine;
  readonly log: EventLog;
  readonly heartbeat: Heartbeat;
  close(): Promise<void>;
}

/**
 * Opens the engine that the settings name; owns the data directory from before the first file of it is touched.
 * Throws `DataDirInUse`, `LogMismatch`, `StorageError`, or what the database's driver throws.
 */
export async function openEngine(config: Config): Promise<OpenEngine> {
  const lock = lockDataDir(config.DATA_DIR);
  try {
    return config.MONGO_URL === undefined
      ? await openFiles(config, lock)
      : await openDatabase(config, config.MONGO_URL, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function openFiles({ DATA_DIR, PARTITIONS }: Config, lock: DataDirLock): Promise<OpenEngine> {
  const log = await openSqliteLog({
    file: join(DATA_DIR, 'log.db'),
    ...(PARTITIONS === undefined ? {} : { partitions: PARTITIONS }),
  });
  return {
    place: { kind: 'sqlite', dataDir: DATA_DIR },
    log,
    heartbeat: fileHeartbeat(DATA_DIR),
    async close() {
      await log.close();
      lock.release();
    },
  };
}

async function openDatabase({ PARTITIONS }: Config, url: string, lock: DataDirLock): Promise<OpenEngine> {
  const log = await openMongoLog({ url, ...(PARTITIONS === undefined ? {} : { partitions: PARTITIONS }) });
  const client = new MongoClient(url);
  return {
    place: { kind: 'mongodb', url },
    log,
    heartbeat: mongoHeartbeat(client.db()),
    async close() {
      await log.close();
      await client.close();
      lock.release();
    },
  };
}
