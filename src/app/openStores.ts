import { chmodSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { type AttemptLimit, createMemoryAttemptLimit } from '../base/rateLimits.js';
import type { Config } from '../base/settings.js';
import type { NodeId } from '../cluster/bus.js';
import { recordNode } from '../cluster/openCluster.js';
import { openSqliteLog } from '../log/embeddedLog.js';
import type { EventLog } from '../log/log.js';
import { type Engine, logFileOf, mongoLog } from '../projections/store/engine.js';
import { openPasswords } from '../vault/credentials.js';
import { deriveKeys, loadMasterKey } from '../vault/masterKey.js';
import { type OpenVault, openVault } from '../vault/openVault.js';
import {
  createPlaintextCache,
  createTextOpener,
  type PlaintextCache,
  type TextOpener,
} from '../vault/textOpener.js';
import type { Passwords } from '../vault/vault.js';
import { WriterThreadClient } from '../writer/writerThreadClient.js';
import { type Closers, type Host, warnTo } from './lifecycle.js';

/** Another live process owns the data directory. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
}

/** A data directory that this process owns. */
export interface DataDirLock {
  release(): void;
}

// Holds a reference to each lock: a collected connection would close and release it.
const openLocks = new Set<DatabaseSyncInstance>();
const SQLITE_BUSY = 5;

/**
 * Takes the data directory for this process; creates it, private to its owner (0700), if missing. Throws
 * `DataDirInUse` if another process has it. The lock is an exclusive SQLite transaction on the file `lock`.
 * The operating system releases it when the process ends, for whatever reason.
 */
export function lockDataDir(dir: string): DataDirLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const db = new DatabaseSync(join(dir, 'lock'), { timeout: 0 });
  try {
    // The file stores nothing. Without a journal, a killed process leaves nothing to roll back.
    db.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new DataDirInUse(`the data directory ${resolve(dir)} is in use by another process`, {
        cause: error,
      });
    throw error;
  }
  openLocks.add(db);
  return {
    release() {
      if (openLocks.delete(db)) db.close();
    },
  };
}

/** The engine of log and read models, opened. */
export interface OpenEngine {
  readonly location: Engine;
  /** The only part of this process that appends to the log. */
  readonly writers: WriterThreadClient;
  /** The same log, to be read. */
  readonly log: Omit<EventLog, 'append'>;
  /** The node that ran in this data directory before, if it has surely ended. */
  readonly predecessor: NodeId | undefined;
  /** Of requests that check a password; undefined with `AUTH_RATE_LIMIT=off`. */
  readonly attemptLimit: AttemptLimit | undefined;
}

/** Everything durable, opened. */
export interface Stores {
  readonly engine: OpenEngine;
  readonly vault: OpenVault;
  readonly passwords: Passwords;
  /** Opens sealed texts; `cache` has those opened last. */
  readonly texts: { readonly opener: TextOpener; readonly cache: PlaintextCache };
}

/**
 * Opens log, vault and password hashing. Throws `DataDirInUse`, `LogMismatch`, `StorageError`, `MasterKeyError`,
 * `VaultUnavailable`, or what the database's driver throws.
 */
export async function openStores({ config, logger, closers }: Host, node: NodeId): Promise<Stores> {
  const engine = await openEngine(config, node, closers);
  const masterKey = config.MASTER_KEY ?? (await loadMasterKey(config.DATA_DIR));
  const vault = await openVault({ engine: engine.location, masterKey, report: warnTo(logger) });
  closers.add(() => vault.close());
  const passwords = openPasswords({ cost: config.BCRYPT_COST, pepper: deriveKeys(masterKey).pepper });
  closers.add(() => passwords.close());
  const cache = createPlaintextCache();
  closers.add(() => cache.close());
  return { engine, vault, passwords, texts: { opener: createTextOpener(vault.keys, cache), cache } };
}

async function openEngine(config: Config, node: NodeId, closers: Closers): Promise<OpenEngine> {
  // Before the first file of the directory is touched, and released when the last is closed.
  const lock = lockDataDir(config.DATA_DIR);
  closers.add(() => lock.release());
  const predecessor = recordNode(config.DATA_DIR, node);
  const location = engineOf(config);
  const writers = await WriterThreadClient.open({ engine: location, node, partitions: config.PARTITIONS });
  closers.add(() => writers.stop());
  const log = await openLog(location);
  closers.add(() => log.close());
  const attemptLimit = await openAttemptLimit(location, config.AUTH_RATE_LIMIT, closers);
  return { location, writers, log, predecessor, attemptLimit };
}

/** Where these settings put log and read models. */
export const engineOf = ({
  MONGO_URL: url,
  DATA_DIR: dataDir,
}: Pick<Config, 'MONGO_URL' | 'DATA_DIR'>): Engine =>
  url === undefined ? { kind: 'sqlite', dataDir } : { kind: 'mongodb', url };

const openLog = (location: Engine): Promise<EventLog> =>
  location.kind === 'sqlite'
    ? openSqliteLog({ file: logFileOf(location.dataDir), readOnly: true })
    : mongoLog({ url: location.url });

async function openAttemptLimit(
  location: Engine,
  allowance: Config['AUTH_RATE_LIMIT'],
  closers: Closers,
): Promise<AttemptLimit | undefined> {
  if (allowance === 'off') return undefined;
  if (location.kind === 'sqlite') return createMemoryAttemptLimit(allowance, () => performance.now());
  const { openMongoAttemptLimit } = await import('../cluster/mongoAttemptLimit.js');
  return openMongoAttemptLimit(location.url, allowance, (close) => closers.add(close));
}
