import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openAuditedLog } from '../audit/storedRows.js';
import { systemClock } from '../base/clock.js';
import type { Config } from '../base/settings.js';
import { type HeldLease, LEASE_MS } from '../cluster/leases.js';
import type { Cluster } from '../cluster/nodes.js';
import { openCluster } from '../cluster/openCluster.js';
import type { LogSource } from '../log/checkLog.js';
import { type LogMeta, metaOf } from '../log/logMeta.js';
import { capabilities } from '../projections/allProjections.js';
import { type Engine, mongoLog } from '../projections/store/engine.js';
import { hasVault, vaultFileOf } from '../vault/openVault.js';
import { openFileRows, type VaultRows } from '../vault/vaultTables.js';
import { appendFence } from '../writer/takeOver.js';
import { DataDirInUse, DataDirMismatch, findMoved, markMoved, openDataDir } from './dataDir.js';
import { MoveError } from './moveTarget.js';
import { engineOf, placeOf } from './openStores.js';
import { checkNoServer } from './restore.js';

/** A system that is to be moved. No server runs on it until it is closed. */
export interface MoveSource {
  /** For people: without a password. */
  readonly place: string;
  readonly engine: Engine;
  readonly meta: LogMeta;
  readonly log: LogSource & { readonly partitions: number };
  readonly vault: VaultRows;
  /** Keeps away what may still write to the source, such as a server that was paused. Its log has its last commits then. */
  fence(): Promise<void>;
  /** Marks the source: no server starts on it any more. Throws `MoveError` if a server has come meanwhile. */
  mark(to: string): Promise<void>;
  close(): Promise<void>;
}

/** A log that was moved away. */
export interface MovedLog {
  /** The id of the log. */
  readonly log: string;
  /** Where it went, for people. */
  readonly to: string;
}

/** Where the system of these settings was moved; undefined if it was not. */
export async function findMove({ MONGO_URL: url, DATA_DIR }: Config): Promise<MovedLog | undefined> {
  if (url !== undefined) return (await import('../cluster/mongoCluster.js')).findMovedLog(url);
  const moved = findMoved(DATA_DIR);
  return moved && { log: moved.log, to: moved.place };
}

/**
 * Opens the system of these settings, which must be stopped and whole. Changes nothing. Throws `MoveError`, `DataDirInUse`,
 * `DataDirMismatch`, `LogMismatch` and the errors of the stores.
 */
export async function openSource(config: Config): Promise<MoveSource> {
  const engine = engineOf(config);
  // Throws if there is no log, where to open it would make one.
  const found = await openAuditedLog(engine);
  await found.close();
  return engine.kind === 'sqlite' ? openDirectory(config) : openDatabase(config, engine.url);
}

async function openDirectory(config: Config): Promise<MoveSource> {
  const { DATA_DIR: dir } = config;
  const engine = engineOf(config);
  if (!existsSync(vaultFileOf(dir)))
    throw new DataDirMismatch(`DATA_DIR (${resolve(dir)}) has a log but no vault: the system is incomplete`);
  const lock = await openDataDir(config);
  try {
    const log = await openAuditedLog(engine);
    const vault = openFileRows(vaultFileOf(dir), { readOnly: true });
    return {
      ...{ place: placeOf(engine), engine, meta: metaOf(log), log, vault },
      // The lock of the directory keeps servers away, paused ones too.
      fence: async () => {},
      mark: async (to) => markMoved(dir, { log: log.id, place: to }),
      async close() {
        await vault.close();
        await log.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function openDatabase(config: Config, url: string): Promise<MoveSource> {
  if (!(await hasVault(url)))
    throw new MoveError('the database of MONGO_URL has a log but no vault: the system is incomplete');
  await checkNoServer(config);
  const { openMongoRows } = await import('../vault/mongoVaultRows.js');
  const node = randomUUID();
  const log = await mongoLog({ url });
  const cluster = await openCluster(url, { node, capabilities }, log.partitions);
  const leases = new AllLeases(cluster, log.partitions);
  const vault = openMongoRows(url);
  const engine: Engine = { kind: 'mongodb', url };
  return {
    ...{ place: placeOf(engine), engine, meta: metaOf(log), log, vault },
    async fence() {
      for (const lease of await leases.acquire()) {
        const target = { partition: lease.partition, lease, isWanted: () => true };
        await appendFence(log, target, { clock: systemClock, now: Date.now, newId: randomUUID });
      }
    },
    async mark(to) {
      const { endLeasesOf } = await import('../cluster/mongoCluster.js');
      if (await endLeasesOf(url, node, leases.held, { log: log.id, to })) return leases.keep();
      throw new DataDirInUse(
        'a server has begun to use the database of MONGO_URL; stop all servers, and run this command again',
      );
    },
    async close() {
      await leases.release();
      await vault.close();
      await cluster.close();
      await log.close();
    },
  };
}

/** How often leases are renewed, and one that another process had is asked for again. */
const RENEW_EVERY_MS = 1000;

/** All leases of a log, so that no node owns a partition meanwhile. */
class AllLeases {
  #held: HeldLease[] = [];
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly cluster: Pick<Cluster, 'leases'>,
    private readonly partitions: number,
  ) {}

  get held(): readonly HeldLease[] {
    return this.#held;
  }

  /** Acquires all, and renews them from then on. Throws `DataDirInUse` if a node keeps one. */
  async acquire(): Promise<readonly HeldLease[]> {
    const { leases } = this.cluster;
    // A failed renewal is tried again. If it fails for too long, `endLeases` finds the lease lost.
    this.#timer = setInterval(() => {
      this.#renewing = leases.renewAll().catch(() => {});
    }, RENEW_EVERY_MS);
    // The leases of a process that was killed end by themselves.
    const giveUpAt = systemClock.now() + LEASE_MS + 2 * RENEW_EVERY_MS;
    for (let partition = 0; partition < this.partitions; ) {
      const lease = await leases.acquire(partition);
      if (lease) {
        this.#held.push(lease);
        partition++;
      } else if (systemClock.now() > giveUpAt)
        throw new DataDirInUse(
          'a server owns partitions in the database of MONGO_URL; stop all servers, and run this again',
        );
      else await delay(RENEW_EVERY_MS);
    }
    return this.#held;
  }

  /** Leaves the leases as they are: see `endLeases`. */
  async keep(): Promise<void> {
    await this.#stop();
    this.#held = [];
  }

  async release(): Promise<void> {
    await this.#stop();
    await Promise.all(this.#held.map((lease) => lease.release()));
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
  }
}
