import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { isDatabaseUnreachable } from '../base/errors.js';
import { type AttemptLimit, createMemoryAttemptLimit } from '../base/rateLimits.js';
import type { Config } from '../base/settings.js';
import type { NodeId } from '../cluster/bus.js';
import { recordNode } from '../cluster/openCluster.js';
import type { LogSource } from '../log/checkLog.js';
import type { EventLog } from '../log/log.js';
import { type Engine, openLog } from '../projections/store/engine.js';
import { openPasswords } from '../vault/credentials.js';
import { deriveKeys, loadMasterKey } from '../vault/masterKey.js';
import { hasVault, type OpenVault, openVault } from '../vault/openVault.js';
import {
  createPlaintextCache,
  createTextOpener,
  type PlaintextCache,
  type TextOpener,
} from '../vault/textOpener.js';
import type { DataKey, Passwords } from '../vault/vault.js';
import {
  DataDirMismatch,
  type DataSettings,
  endFirstStart,
  firstStartOf,
  openDataDir,
  prepareFiles,
} from './dataDir.js';
import { type Closers, type Host, warnTo } from './lifecycle.js';

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
  const { log: opening, ...rest } = await beginEngine({ config, logger, closers }, node);
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
export async function checkLogIsNewest(
  log: LogSource & { readonly partitions: number },
  vault: OpenVault,
): Promise<void> {
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
async function beginEngine(
  { config, logger, closers }: Pick<Host, 'config' | 'logger'> & Pick<Host, 'closers'>,
  node: NodeId,
) {
  // Before the first file of the directory is touched, and released when the last is closed.
  const lock = await openDataDir(config);
  closers.add(() => lock.release());
  const location = engineOf(config);
  if (location.kind === 'sqlite') prepareFiles(config);
  const predecessor = recordNode(config.DATA_DIR, node);
  const attemptLimit = await openAttemptLimit(location, config.AUTH_RATE_LIMIT, closers);
  return { location, predecessor, attemptLimit, log: () => openOrCreateLog(config, logger) };
}

/** Says if it has created the log: a mistake in the name of a directory or database would start a second system. */
async function openOrCreateLog(config: Config, logger: Logger): Promise<EventLog> {
  const location = engineOf(config);
  const onCreated = (): void => logger.info(`created a new log in ${placeOf(location)}`);
  const isFirstStart = location.kind === 'sqlite' && existsSync(firstStartOf(config.DATA_DIR));
  const log = await openLog(location, config.PARTITIONS, onCreated);
  if (isFirstStart) onCreated();
  return log;
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

/** Where an engine lies, for people: without a password. */
export const placeOf = (engine: Engine): string =>
  engine.kind === 'sqlite'
    ? resolve(engine.dataDir)
    : engine.url.replace(/^(mongodb(?:\+srv)?:\/\/)(?:[^@/]*@)?([^?]*).*$/, '$1$2');

/**
 * Says in one line that the database of a setting cannot be reached, and what to do. Undefined for any other error, and
 * without a database.
 */
export function explainUnreachable(
  error: unknown,
  url: string | undefined,
  setting: 'MONGO_URL' | '--to' = 'MONGO_URL',
): string | undefined {
  if (url === undefined || !isDatabaseUnreachable(error)) return undefined;
  const place = placeOf({ kind: 'mongodb', url });
  return `${setting}: the database ${place} cannot be reached: ${error.message}; start it, or correct ${setting}`;
}

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
