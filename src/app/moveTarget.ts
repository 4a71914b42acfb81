import { randomUUID } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { MongoClient } from 'mongodb';
import { syncPath } from '../base/files.js';
import type { LogSource } from '../log/checkLog.js';
import { pack, unpack } from '../log/commit.js';
import type { Commit } from '../log/log.js';
import { createLogFile, SqliteStore } from '../log/logFile.js';
import type { LogMeta } from '../log/logMeta.js';
import { type Engine, logFileOf } from '../projections/store/engine.js';
import { openSqliteVaultStore, vaultFileOf } from '../vault/openVault.js';
import { openFileRows, type VaultRows } from '../vault/vaultTables.js';
import { createPrivate, namesIn } from './backup.js';
import { arrivingOf, type DataDirLock, lockDataDir, readMoveMark, writeMoveMark } from './dataDir.js';
import { placeOf } from './openStores.js';

/** The system cannot be moved. The message says what to do. */
export class MoveError extends Error {
  override readonly name = 'MoveError';
}

/** A log that is being copied. */
export interface TargetLog extends LogSource {
  readonly partitions: number;
  /** Stores commits of one partition, in order, behind those that are there. Durable once resolved. */
  write(commits: readonly Commit[]): Promise<void>;
  /** Removes all commits. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** The place to which a system is moved. */
export interface MoveTarget {
  /** For people: without a password. */
  readonly place: string;
  readonly engine: Engine;
  /** Whether an earlier run has begun to copy this log, and it is not whole yet. */
  hasPart(logId: string): Promise<boolean>;
  /** Throws `MoveError` unless the place is empty, or has a part of this log. Changes nothing. */
  check(logId: string): Promise<void>;
  /** Marks the place as one in which no server starts until `open`. From here on no other run may use it. */
  begin(meta: LogMeta, from: string): Promise<void>;
  openLog(meta: LogMeta): Promise<TargetLog>;
  /** Makes an empty vault. An earlier run may have copied keys that were destroyed since. */
  makeVault(): Promise<VaultRows>;
  /** Lets servers start there. Throws `MoveError` if another run has taken the place over. */
  open(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the place to which a system is moved. */
export async function openTarget(engine: Engine): Promise<MoveTarget> {
  if (engine.kind === 'sqlite') return new DirectoryTarget(engine);
  const { connectMongoLog } = await import('../log/mongoLogMeta.js');
  return new DatabaseTarget(engine, connectMongoLog(engine.url));
}

/** What may lie in an empty directory, or in that of a node on MongoDB. */
const MAY_BE_THERE = /^(master\.key|lock(-journal)?|lost\+found|node|new-history|control\.sock)$/;

class DirectoryTarget implements MoveTarget {
  readonly place: string;
  readonly #dir: string;
  #lock: DataDirLock | undefined;

  constructor(readonly engine: Engine & { kind: 'sqlite' }) {
    this.place = placeOf(engine);
    this.#dir = engine.dataDir;
  }

  async hasPart(logId: string): Promise<boolean> {
    return readMoveMark(arrivingOf(this.#dir))?.log === logId;
  }

  async check(logId: string): Promise<void> {
    if (await this.hasPart(logId)) return;
    const other = namesIn(this.#dir).find((name) => !MAY_BE_THERE.test(name));
    if (other === undefined) return;
    throw new MoveError(
      `${this.place} is not empty: it has ${other}; name a directory with nothing but master.key, or a new one`,
    );
  }

  async begin({ id }: LogMeta, from: string): Promise<void> {
    this.#lock = lockDataDir(this.#dir, '--to');
    // Once more: another run may have finished meanwhile.
    await this.check(id);
    writeMoveMark(arrivingOf(this.#dir), { log: id, place: from });
    syncPath(dirname(resolve(this.#dir)));
  }

  async openLog(meta: LogMeta): Promise<TargetLog> {
    const file = logFileOf(this.#dir);
    if (!existsSync(file)) createPrivate(file);
    createLogFile(file, meta);
    return fileLog(file, meta);
  }

  async makeVault(): Promise<VaultRows> {
    const file = vaultFileOf(this.#dir);
    removeDatabase(file);
    createPrivate(file);
    await openSqliteVaultStore(this.#dir).close();
    return openFileRows(file, { readOnly: false });
  }

  async open(): Promise<void> {
    for (const file of [logFileOf(this.#dir), vaultFileOf(this.#dir), this.#dir]) syncPath(file);
    rmSync(arrivingOf(this.#dir));
    syncPath(this.#dir);
  }

  async close(): Promise<void> {
    this.#lock?.release();
  }
}

/** Removes an SQLite database. The write-ahead log goes first: SQLite would apply it to a new file of the same name. */
function removeDatabase(file: string): void {
  for (const suffix of ['-wal', '-shm', '']) rmSync(`${file}${suffix}`, { force: true });
}

function fileLog(file: string, meta: LogMeta): TargetLog {
  let store = new SqliteStore(file, meta.partitions);
  return {
    partitions: meta.partitions,
    read: (partition, after, limit) => store.rows.read(partition, after, limit).map(unpack),
    places: (partition, positions) => store.rows.places(partition, positions),
    tail(partition) {
      const commit = store.rows.tail(partition);
      return commit && unpack(commit);
    },
    async write(commits) {
      const outcomes = store.appendAll(
        commits.map((commit) => {
          const { text, ...fields } = pack(commit);
          return { ...fields, leaves: Buffer.from(text) };
        }),
      );
      const failed = outcomes.find((outcome) => outcome instanceof Error);
      if (failed) throw failed;
      if (outcomes.some((outcome) => !(outcome instanceof Error) && outcome.kind === 'lost'))
        throw new MoveError(`${file} was changed by another process`);
      store.checkpoint();
    },
    async clear() {
      store.close();
      removeDatabase(file);
      createPrivate(file);
      createLogFile(file, meta);
      store = new SqliteStore(file, meta.partitions);
    },
    async close() {
      store.close();
    },
  };
}

class DatabaseTarget implements MoveTarget {
  readonly place: string;
  readonly #run = randomUUID();

  constructor(
    readonly engine: Engine & { kind: 'mongodb' },
    private readonly client: MongoClient,
  ) {
    this.place = placeOf(engine);
  }

  async hasPart(logId: string): Promise<boolean> {
    const { readMongoMeta } = await import('../log/mongoLogMeta.js');
    const meta = await readMongoMeta(this.client.db());
    return meta?.arriving !== undefined && meta.id === logId;
  }

  async check(logId: string): Promise<void> {
    if (await this.hasPart(logId)) return;
    const { listMongoVault, namesIn: collectionsIn } = await import('../vault/mongoVaultRows.js');
    const db = this.client.db();
    const names = await collectionsIn(db);
    const vault = (await listMongoVault(this.engine.url)).map((name) => `${name} of the vault`);
    const [other] = [...names, ...vault];
    if (other === undefined) return;
    throw new MoveError(
      `${this.place} is not empty: it has the collection ${other}; name a database that does not exist yet`,
    );
  }

  async begin(meta: LogMeta, from: string): Promise<void> {
    const { insertMongoMeta, resumeArrival } = await import('../log/mongoLogMeta.js');
    const arriving = { from, run: this.#run };
    if (await resumeArrival(this.client.db(), meta, arriving)) return;
    await this.check(meta.id);
    // A server that starts there at this moment inserts the same `_id`.
    if (!(await insertMongoMeta(this.client.db(), { ...meta, arriving }))) throw this.#isTaken();
  }

  async openLog(meta: LogMeta): Promise<TargetLog> {
    const [{ MongoLog }, { MongoLogCopy }] = await Promise.all([
      import('../log/mongoLog.js'),
      import('../log/mongoLogCopy.js'),
    ]);
    const { client } = this;
    // This object closes the client.
    const log = new MongoLog(meta, { db: (...args) => client.db(...args), close: async () => {} });
    const copy = new MongoLogCopy(client.db());
    return {
      partitions: meta.partitions,
      read: (partition, after, limit) => log.read(partition, after, limit),
      places: (partition, positions) => log.places(partition, positions),
      tail: (partition) => log.tail(partition),
      write: (commits) => copy.write(commits),
      clear: () => copy.clear(),
      close: () => log.close(),
    };
  }

  async makeVault(): Promise<VaultRows> {
    const { isArriving } = await import('../log/mongoLogMeta.js');
    const { dropMongoVault, openMongoRows } = await import('../vault/mongoVaultRows.js');
    // What another run has finished may be in use.
    if (!(await isArriving(this.client.db(), this.#run))) throw this.#isTaken();
    await dropMongoVault(this.engine.url);
    return openMongoRows(this.engine.url);
  }

  async open(): Promise<void> {
    const { endArrival } = await import('../log/mongoLogMeta.js');
    if (!(await endArrival(this.client.db(), this.#run))) throw this.#isTaken();
  }

  close(): Promise<void> {
    return this.client.close();
  }

  #isTaken(): MoveError {
    return new MoveError(`${this.place} is used by another server, or by another run of parley move`);
  }
}
