import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { messageOf } from '../base/errors.js';
import { makeDirectory, syncPath } from '../base/files.js';
import { type Config, ConfigError } from '../base/settings.js';
import { checkLogFile } from '../log/logFileReader.js';
import { logFileOf, readFileOf } from '../projections/store/engine.js';
import { masterKeyFileOf } from '../vault/masterKey.js';
import { vaultFileOf } from '../vault/openVault.js';

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
export const firstStartOf = (dir: string): string => join(dir, 'first-start');

/** The directory in which a backup is prepared. While it exists, the data directory has no system that may run. */
export const restoringOf = (dir: string): string => join(dir, 'restoring');

/** Exists while `parley move` copies a system into the data directory: the part that is there must not run. */
export const arrivingOf = (dir: string): string => join(dir, 'arriving');
/** Exists in a data directory whose system was moved away: it does not start again. */
const movedOf = (dir: string): string => join(dir, 'moved');

/** Has the history that a restore has begun, until a server has started on it. */
const newHistoryOf = (dir: string): string => join(dir, 'new-history');

/** Notes that the next server starts on a new history. Only a message depends on it. */
export const noteNewHistory = (dir: string, history: string): void =>
  writeFileSync(newHistoryOf(dir), `${history}\n`, { mode: 0o600 });

/** Whether a restore has begun this history, and no server has started on it since. Removes the note. */
export function takeNewHistory(dir: string, history: string): boolean {
  const file = newHistoryOf(dir);
  if (!existsSync(file)) return false;
  const isNew = readFileSync(file, 'utf8').trim() === history;
  rmSync(file);
  return isNew;
}

/** Has the time of the last backup that was made of the data directory. Only figures for admins depend on it. */
const lastBackupOf = (dir: string): string => join(dir, 'last-backup');

const LastBackup = z.strictObject({ madeAt: z.string(), events: z.int() });
export type LastBackup = z.infer<typeof LastBackup>;

/** Notes a backup that is whole. It stays whole if this fails, as for somebody who may only read the directory. */
export function noteLastBackup(dir: string, backup: LastBackup): void {
  const draft = `${lastBackupOf(dir)}.new`;
  try {
    writeFileSync(draft, `${JSON.stringify(backup)}\n`);
    renameSync(draft, lastBackupOf(dir));
  } catch {
    rmSync(draft, { force: true });
  }
}

/** The last backup that is known; undefined if there was none, or if the note is damaged. */
export async function readLastBackup(dir: string): Promise<LastBackup | undefined> {
  try {
    return LastBackup.parse(JSON.parse(await readFile(lastBackupOf(dir), 'utf8')));
  } catch {
    return undefined;
  }
}

/** A mark of `parley move`: the log, and where it comes from or went, for people. */
const MoveMark = z.strictObject({ log: z.string(), place: z.string() });
export type MoveMark = z.infer<typeof MoveMark>;

/** Reads a mark; undefined if there is none. Throws `DataDirMismatch` for one that is damaged. */
export function readMoveMark(file: string): MoveMark | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return MoveMark.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new DataDirMismatch(`${file} is damaged: ${messageOf(cause)}`, { cause });
  }
}

/** Writes a mark, durable when it returns. A crash leaves all of it or none. */
export function writeMoveMark(file: string, mark: MoveMark): void {
  const draft = `${file}.new`;
  writeFileSync(draft, `${JSON.stringify(mark)}\n`, { mode: 0o600 });
  syncPath(draft);
  renameSync(draft, file);
  syncPath(dirname(file));
}

/** Where the system of this data directory was moved; undefined if it was not. */
export const findMoved = (dir: string): MoveMark | undefined => readMoveMark(movedOf(dir));

/** Marks the system of a data directory as moved. The caller holds the directory's lock. */
export const markMoved = (dir: string, mark: MoveMark): void => writeMoveMark(movedOf(dir), mark);

/** The settings that say where the data lies, and what it must be. */
export type DataSettings = Pick<Config, 'MONGO_URL' | 'DATA_DIR'> & Pick<Config, 'MASTER_KEY' | 'PARTITIONS'>;

/** The files without which an embedded system has lost data. */
const partsOf = (dir: string, masterKey: Buffer | undefined): string[] => [
  ...[logFileOf(dir), vaultFileOf(dir)],
  ...(masterKey === undefined ? [masterKeyFileOf(dir)] : []),
];

const namesOf = (dir: string, files: readonly string[]): string =>
  files.map((file) => relative(dir, file)).join(' and ');

/** What to do about lost parts. A backup never has the key; and with the key alone, the history goes on. */
function cureOf(dir: string, lost: readonly string[]): string {
  const keyFile = masterKeyFileOf(dir);
  const databases = lost.filter((file) => file !== keyFile);
  const putKeyBack = lost.includes(keyFile)
    ? ['put master.key back from the place where you keep it, or set MASTER_KEY to that key']
    : [];
  const putDatabasesBack =
    databases.length > 0
      ? [`put ${namesOf(dir, databases)} back from a backup and run parley restore --here`]
      : [];
  return [...putKeyBack, ...putDatabasesBack, 'then start again'].join('; ');
}

/**
 * Throws `DataDirMismatch` or `LogMismatch` unless a start with these settings may write to the directory. Changes
 * nothing.
 */
function checkDataDir({ DATA_DIR: dir, MONGO_URL, MASTER_KEY, PARTITIONS }: DataSettings): void {
  if (existsSync(join(dir, 'backup.json')))
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) is a backup; set DATA_DIR to an empty directory with its master.key, and run parley restore ${dir}`,
    );
  // Before the files: the marker is there until all of them are.
  const isFirstStart = existsSync(firstStartOf(dir));
  const parts = partsOf(dir, MASTER_KEY);
  const [there, lost] = [parts.filter((file) => existsSync(file)), parts.filter((file) => !existsSync(file))];
  if (existsSync(restoringOf(dir)))
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) has a restore that was cut off; run parley restore <dir> again, or set DATA_DIR to another directory`,
    );
  const arriving = readMoveMark(arrivingOf(dir));
  if (arriving)
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) has a part of what parley move copies from ${arriving.place}; wait until it is done, or repeat it if it was cut off`,
    );
  const moved = findMoved(dir);
  if (moved && MONGO_URL === undefined)
    throw new DataDirMismatch(
      `the system in DATA_DIR (${resolve(dir)}) was moved to ${moved.place}; set MONGO_URL to that database, or DATA_DIR to another directory`,
    );
  if (MONGO_URL !== undefined) {
    const embedded = [logFileOf(dir), vaultFileOf(dir)].filter((file) => existsSync(file));
    if (moved || embedded.length === 0) return;
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) holds an embedded system (${namesOf(dir, embedded)}), but MONGO_URL is set; unset MONGO_URL, run parley move --to <MONGO_URL> to move it there, or set DATA_DIR to another directory`,
    );
  }
  if (there.length > 0 && lost.length > 0 && !isFirstStart)
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) has lost ${namesOf(dir, lost)}, but still has ${namesOf(dir, there)}; ${cureOf(dir, lost)}`,
    );
  if (existsSync(logFileOf(dir))) checkLogFile(logFileOf(dir), PARTITIONS);
}

/**
 * Checks and locks the data directory, and the database if there is one. Throws `DataDirMismatch`, `LogMismatch` and
 * `DataDirInUse` before anything is written.
 */
export async function openDataDir(settings: DataSettings): Promise<DataDirLock> {
  const { DATA_DIR: dir, MONGO_URL: url } = settings;
  // A used directory has this file. Another one is checked before it is made.
  if (!existsSync(lockFileOf(dir))) checkDataDir(settings);
  if (url !== undefined) await checkDatabase(url, settings);
  const lock = lockDataDir(dir);
  try {
    checkDataDir(settings);
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function checkDatabase(url: string, { DATA_DIR: dir, PARTITIONS }: DataSettings): Promise<void> {
  const { checkMongoLog } = await import('../log/mongoLogMeta.js');
  const { findMovedLog } = await import('../cluster/mongoCluster.js');
  const meta = await checkMongoLog(url, PARTITIONS);
  const gone = meta && (await findMovedLog(url));
  if (gone)
    throw new DataDirMismatch(
      `the system in MONGO_URL was moved to ${gone.to}; set DATA_DIR to that directory and unset MONGO_URL, or set MONGO_URL to another database`,
    );
  const moved = findMoved(dir);
  if (moved && moved.log !== meta?.id)
    throw new DataDirMismatch(
      `the system in DATA_DIR (${resolve(dir)}) was moved to ${moved.place}, but MONGO_URL is another database; set MONGO_URL to that one, or DATA_DIR to another directory`,
    );
}

/** Makes the missing files that hold secrets, so that only their owner may read them, whatever the directory's mode. */
export function prepareFiles({ DATA_DIR: dir, MASTER_KEY }: DataSettings): void {
  if (!partsOf(dir, MASTER_KEY).some((file) => existsSync(file))) closeSync(openSync(firstStartOf(dir), 'a'));
  // SQLite gives -wal and -shm files the mode of their database.
  for (const file of [logFileOf(dir), vaultFileOf(dir), readFileOf(dir)])
    closeSync(openSync(file, 'a', 0o600));
}

/** From here on a missing file is a lost one. */
export function endFirstStart(dir: string): void {
  if (!existsSync(firstStartOf(dir))) return;
  syncPath(dir);
  rmSync(firstStartOf(dir));
}

/** A part of the data directory, as `/ready` names it. */
export type DataPart = 'log' | 'vault' | 'key' | 'projections' | 'lock';

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
      // Without this very file, another server can start on the directory.
      [lockFileOf(dir), 'lock'],
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
 * keeps its mode. Throws `DataDirInUse` if another process has it, `ConfigError` if it cannot be made or written to;
 * `setting` is what names it. The lock is an exclusive SQLite transaction on the file `lock`. The operating system
 * releases it when the process ends, for whatever reason.
 */
export function lockDataDir(dir: string, setting: 'DATA_DIR' | '--to' = 'DATA_DIR'): DataDirLock {
  const refuse = (what: string, cause: unknown) =>
    new ConfigError(
      `${setting}: ${what}: ${messageOf(cause)}; the user of this process (uid ${process.getuid?.()}) must be allowed to write there`,
      { cause },
    );
  try {
    makeDirectory(dir);
  } catch (cause) {
    throw refuse(`the directory ${resolve(dir)} cannot be made`, cause);
  }
  let db: DatabaseSyncInstance;
  try {
    db = new DatabaseSync(lockFileOf(dir), { timeout: 0 });
  } catch (cause) {
    throw refuse(`the file lock cannot be made in ${resolve(dir)}`, cause);
  }
  try {
    // The file stores nothing. Without a journal, a killed process leaves nothing to roll back.
    db.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new DataDirInUse(`the data directory ${resolve(dir)} is in use by another process`, {
        cause: error,
      });
    throw refuse(`the file ${resolve(lockFileOf(dir))} cannot be locked`, error);
  }
  openLocks.add(db);
  return {
    release() {
      if (openLocks.delete(db)) db.close();
    },
  };
}
