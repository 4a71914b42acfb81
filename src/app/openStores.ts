import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { messageOf } from '../base/errors.js';
import { makeDirectory, syncPath } from '../base/files.js';
import { type AttemptLimit, createMemoryAttemptLimit } from '../base/rateLimits.js';
import { type Config, ConfigError } from '../base/settings.js';
import type { NodeId } from '../cluster/bus.js';
import { recordNode } from '../cluster/openCluster.js';
import type { EventLog } from '../log/log.js';
import { checkLogFile } from '../log/logFileReader.js';
import { type Engine, logFileOf, openLog, readFileOf } from '../projections/store/engine.js';
import { openPasswords } from '../vault/credentials.js';
import { deriveKeys, loadMasterKey, masterKeyFileOf } from '../vault/masterKey.js';
import { hasVault, type OpenVault, openVault, vaultFileOf } from '../vault/openVault.js';
import {
  createPlaintextCache,
  createTextOpener,
  type PlaintextCache,
  type TextOpener,
} from '../vault/textOpener.js';
import type { DataKey, Passwords } from '../vault/vault.js';
import { type Closers, type Host, warnTo } from './lifecycle.js';

/** Another live process owns the data directory. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
}

/** The data directory is not what these settings need. The message says what to do. Nothing in it was changed. */
export class DataDirMismatch extends Error {
  override readonly name = 'DataDirMismatch';
}

/** A data directory that this process owns. */
export interface DataDirLock {
  release(): void;
}

// Holds a reference to each lock: a collected connection would close and release it.
const openLocks = new Set<DatabaseSyncInstance>();
const SQLITE_BUSY = 5;

const lockFileOf = (dir: string): string => join(dir, 'lock');
/** Exists from before the first file of a new embedded system until after the last: a crash may leave only some. */
const firstStartOf = (dir: string): string => join(dir, 'first-start');

/** The directory in which a back-up is prepared. While it exists, the data directory has no system that may run. */
export const restoringOf = (dir: string): string => join(dir, 'restoring');

/** The settings that say where the data lies, and what it must be. */
type DataSettings = Pick<Config, 'MONGO_URL' | 'DATA_DIR'> & Pick<Config, 'MASTER_KEY' | 'PARTITIONS'>;

/** The files without which an embedded system has lost data. */
const partsOf = (dir: string, masterKey: Buffer | undefined): string[] => [
  ...[logFileOf(dir), vaultFileOf(dir)],
  ...(masterKey === undefined ? [masterKeyFileOf(dir)] : []),
];

const namesOf = (dir: string, files: readonly string[]): string =>
  files.map((file) => file.slice(dir.length).replace(/^\W/, '')).join(' and ');

/**
 * Throws `DataDirMismatch` or `LogMismatch` unless a start with these settings may write to the directory. Changes
 * nothing.
 */
function checkDataDir({ DATA_DIR: dir, MONGO_URL, MASTER_KEY, PARTITIONS }: DataSettings): void {
  if (existsSync(join(dir, 'backup.json')))
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) is a back-up; set DATA_DIR to an empty directory with its master.key, and run parley restore ${dir}`,
    );
  // Before the files: the marker is there until all of them are.
  const isFirstStart = existsSync(firstStartOf(dir));
  const parts = partsOf(dir, MASTER_KEY);
  const [there, lost] = [parts.filter((file) => existsSync(file)), parts.filter((file) => !existsSync(file))];
  if (existsSync(restoringOf(dir)))
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) has a restore that was cut off; run parley restore <dir> again, or set DATA_DIR to another directory`,
    );
  if (MONGO_URL !== undefined) {
    const embedded = [logFileOf(dir), vaultFileOf(dir)].filter((file) => existsSync(file));
    if (embedded.length === 0) return;
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) holds an embedded system (${namesOf(dir, embedded)}), but MONGO_URL is set; unset MONGO_URL, or set DATA_DIR to another directory`,
    );
  }
  if (there.length > 0 && lost.length > 0 && !isFirstStart)
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) has lost ${namesOf(dir, lost)}, but still has ${namesOf(dir, there)}; put ${namesOf(dir, lost)} back from a back-up and run parley restore --here, or set DATA_DIR to an empty directory`,
    );
  if (existsSync(logFileOf(dir))) checkLogFile(logFileOf(dir), PARTITIONS);
}

/**
 * Checks and locks the data directory, and the database if there is one. Throws `DataDirMismatch`, `LogMismatch` and
 * `DataDirInUse` before anything is written.
 */
export async function openDataDir(settings: DataSettings): Promise<DataDirLock> {
  const { DATA_DIR: dir, MONGO_URL: url, PARTITIONS } = settings;
  // A used directory has this file. Another one is checked before it is made.
  if (!existsSync(lockFileOf(dir))) checkDataDir(settings);
  if (url !== undefined) await checkDatabase(url, PARTITIONS);
  const lock = lockDataDir(dir);
  try {
    checkDataDir(settings);
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function checkDatabase(url: string, partitions: number | undefined): Promise<void> {
  const { checkMongoLog } = await import('../log/mongoLog.js');
  await checkMongoLog(partitions === undefined ? { url } : { url, partitions });
}

/** Makes the missing files that hold secrets, so that only their owner may read them, whatever the directory's mode. */
function prepareFiles({ DATA_DIR: dir, MASTER_KEY }: DataSettings): void {
  if (!partsOf(dir, MASTER_KEY).some((file) => existsSync(file))) closeSync(openSync(firstStartOf(dir), 'a'));
  // SQLite gives -wal and -shm files the mode of their database.
  for (const file of [logFileOf(dir), vaultFileOf(dir), readFileOf(dir)])
    closeSync(openSync(file, 'a', 0o600));
}

/** From here on a missing file is a lost one. */
function endFirstStart(dir: string): void {
  if (!existsSync(firstStartOf(dir))) return;
  syncPath(dir);
  rmSync(firstStartOf(dir));
}

/** A part of the data directory, as `/ready` names it. */
export type DataPart = 'log' | 'vault' | 'key' | 'projections';

/** The files of a data directory that a running system uses, and the part that each belongs to. */
export class DataFiles {
  readonly #parts: ReadonlyMap<string, DataPart>;
  /** Identifies each file that was found once. */
  readonly #found = new Map<string, string>();

  constructor({ DATA_DIR: dir, MONGO_URL, MASTER_KEY }: DataSettings) {
    const databases = [
      [logFileOf(dir), 'log'],
      [vaultFileOf(dir), 'vault'],
      [readFileOf(dir), 'projections'],
    ] as const;
    this.#parts = new Map([
      ...(MONGO_URL === undefined ? databases : []).flatMap(
        ([file, part]) =>
          [
            [file, part],
            [`${file}-wal`, part],
          ] as const,
      ),
      ...(MASTER_KEY === undefined ? [[masterKeyFileOf(dir), 'key'] as const] : []),
    ]);
  }

  /** Names the part of the first file that was found before and is gone now, or is another file. */
  async findLost(): Promise<DataPart | undefined> {
    for (const [file, part] of this.#parts) {
      const identity = await identify(file);
      const known = this.#found.get(file);
      if (known !== undefined && known !== identity) return part;
      if (identity !== undefined) this.#found.set(file, identity);
    }
    return undefined;
  }
}

/** Undefined if there is no such file. */
async function identify(file: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(file, { bigint: true });
    return `${dev}/${ino}`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Takes the data directory for this process; creates it, private to its owner (0700), if missing. One that exists
 * keeps its mode. Throws `DataDirInUse` if another process has it, `ConfigError` if it cannot be made. The lock is an exclusive SQLite transaction on the
 * file `lock`. The operating system releases it when the process ends, for whatever reason.
 */
export function lockDataDir(dir: string): DataDirLock {
  try {
    makeDirectory(dir);
  } catch (cause) {
    const why = messageOf(cause);
    throw new ConfigError(`DATA_DIR: the directory cannot be made: ${why}`, { cause });
  }
  const db = new DatabaseSync(lockFileOf(dir), { timeout: 0 });
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
  /** Only the writers append to it. */
  readonly log: EventLog;
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
  /** As in `MasterKeys`. */
  readonly busKey: DataKey;
  /** Opens sealed texts; `cache` has those opened last. */
  readonly texts: { readonly opener: TextOpener; readonly cache: PlaintextCache };
}

/**
 * Opens log, vault and password hashing. Throws `DataDirInUse`, `DataDirMismatch`, `LogMismatch`, `StorageError`,
 * `MasterKeyError`, `VaultUnavailable`, or what the database's driver throws.
 */
export async function openStores({ config, logger, closers }: Host, node: NodeId): Promise<Stores> {
  const { log: opening, ...rest } = await beginEngine(config, node, closers);
  const masterKey = await findMasterKey(config);
  const [log, vault] = await openBoth(
    opening(),
    openVault({ engine: rest.location, masterKey, report: warnTo(logger) }),
    closers,
  );
  const engine: OpenEngine = { ...rest, log };
  if (engine.location.kind === 'sqlite') endFirstStart(config.DATA_DIR);
  const { pepper, bus: busKey } = deriveKeys(masterKey);
  const passwords = openPasswords({ cost: config.BCRYPT_COST, pepper });
  closers.add(() => passwords.close());
  const cache = createPlaintextCache();
  closers.add(() => cache.close());
  const texts = { opener: createTextOpener(vault.keys, cache), cache };
  return { engine, vault, passwords, busKey, texts };
}

/**
 * Throws `DataDirMismatch` if the log lacks what the vault knows of it: the commits of signed heads, or deletions that
 * were carried out. Nothing could be appended to such a log, and keys of messages to come may be destroyed.
 */
export async function checkLogIsNewest({ engine: { log }, vault }: Stores): Promise<void> {
  const refuse = (partition: number, what: string) =>
    new DataDirMismatch(
      `the log is older than its vault, or another log: partition ${partition} ${what}; put the newest log back, or stop all servers and run parley restore --here`,
    );
  const sizeOf = async (partition: number) => (await log.tail(partition))?.size ?? 0;
  // The vault is read first: the log may grow meanwhile.
  for (const { partition, position, size, hash } of await vault.heads.list()) {
    const [commit] = partition < log.partitions ? await log.read(partition, position - 1, 1) : [];
    if (commit?.hash === hash) continue;
    const there = partition < log.partitions ? await sizeOf(partition) : 0;
    throw refuse(
      partition,
      `has ${there} events, and ${there < size ? `${size} were signed` : `not those that were signed`}`,
    );
  }
  for (let partition = 0; partition < log.partitions; partition++) {
    const followed = await vault.keys.destructionProgress(partition);
    const there = await sizeOf(partition);
    if (there < followed)
      throw refuse(partition, `has ${there} events, and the deletions of ${followed} were carried out`);
  }
}

/** Opens two parts at the same time: each starts a thread. Throws the error of the first, else that of the second. */
async function openBoth<A extends Part, B extends Part>(
  first: Promise<A>,
  second: Promise<B>,
  closers: Closers,
): Promise<[A, B]> {
  const outcomes = await Promise.allSettled([first, second]);
  // A part that was opened is closed even if the other could not be.
  for (const outcome of outcomes)
    if (outcome.status === 'fulfilled') closers.add(() => outcome.value.close());
  return [await first, await second];
}

interface Part {
  close(): unknown;
}

/** All of the engine but the log, which the result opens. */
async function beginEngine(config: Config, node: NodeId, closers: Closers) {
  // Before the first file of the directory is touched, and released when the last is closed.
  const lock = await openDataDir(config);
  closers.add(() => lock.release());
  const location = engineOf(config);
  if (location.kind === 'sqlite') prepareFiles(config);
  const predecessor = recordNode(config.DATA_DIR, node);
  const attemptLimit = await openAttemptLimit(location, config.AUTH_RATE_LIMIT, closers);
  return { location, predecessor, attemptLimit, log: () => openLog(location, config.PARTITIONS) };
}

/** The master key of these settings. Only a new system, without a vault, makes one. */
async function findMasterKey(config: DataSettings): Promise<Buffer> {
  const { MASTER_KEY, MONGO_URL, DATA_DIR } = config;
  if (MASTER_KEY !== undefined) return MASTER_KEY;
  return loadMasterKey(DATA_DIR, async () =>
    MONGO_URL === undefined ? existsSync(firstStartOf(DATA_DIR)) : !(await hasVault(MONGO_URL)),
  );
}

/** Where these settings put log and read models. */
export const engineOf = ({
  MONGO_URL: url,
  DATA_DIR: dataDir,
}: Pick<Config, 'MONGO_URL' | 'DATA_DIR'>): Engine =>
  url === undefined ? { kind: 'sqlite', dataDir } : { kind: 'mongodb', url };

async function openAttemptLimit(
  location: Engine,
  allowance: Config['AUTH_RATE_LIMIT'],
  closers: Closers,
): Promise<AttemptLimit | undefined> {
  if (allowance === 'off') return undefined;
  if (location.kind === 'sqlite') return createMemoryAttemptLimit(allowance, () => performance.now());
  const { openMongoAttemptLimit } = await import('../cluster/mongoCluster.js');
  return openMongoAttemptLimit(location.url, allowance, (close) => closers.add(close));
}
