import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { openAuditedLog } from '../audit/storedRows.js';
import { messageOf } from '../base/errors.js';
import { makeDirectory, syncPath } from '../base/files.js';
import type { Config } from '../base/settings.js';
import { openCluster } from '../cluster/openCluster.js';
import { decodeLeaf } from '../domain/codec.js';
import type { Recorded } from '../domain/events.js';
import { type MessageRef, parseStream, type RoomId, type UserId } from '../domain/ids.js';
import { reportName } from '../domain/moderation/reports.js';
import { checkPartitionChain } from '../log/checkLog.js';
import type { EventLog } from '../log/log.js';
import { checkLogFile } from '../log/logFileReader.js';
import { renewFileHistory } from '../log/logMeta.js';
import { capabilities } from '../projections/allProjections.js';
import { dropReadModels, type Engine, logFileOf, mongoLog } from '../projections/store/engine.js';
import { loadMasterKey } from '../vault/masterKey.js';
import { checkVaultFile, hasVault, openVault, vaultFileOf } from '../vault/openVault.js';
import { isTextDestroyed, RoomKeys, roomKeysId } from '../vault/textKeys.js';
import type { KeyStore } from '../vault/vault.js';
import { type HoldTable, holdId } from '../vault/vaultStore.js';
import {
  type BackupContents,
  BackupError,
  type ErasureList,
  namesIn,
  readBackup,
  readErasures,
} from './backup.js';
import {
  DataDirInUse,
  DataDirMismatch,
  lockDataDir,
  noteNewHistory,
  openDataDir,
  restoringOf,
} from './dataDir.js';
import { moveToEnd } from './eventDelivery.js';
import { engineOf } from './openStores.js';

/** A step that is done and durable. */
export type RestoreStep =
  | { readonly kind: 'read models deleted' }
  | { readonly kind: 'generation begun'; readonly generation: number }
  | { readonly kind: 'history begun'; readonly history: string };

/**
 * Begins a new history of a log that was put back, while no server runs on it. Deletes the read models, which may be of
 * a newer log; begins a generation of text keys, in which a `seq` can be used again; and renews the log's history, which
 * cursors name. `Operator.recordHistory` then records it in the log. May be repeated, and finishes what a crash has cut
 * off. Throws `BackupError` if the log is damaged, `DataDirInUse`, `DataDirMismatch`, `LogMismatch`, `MasterKeyError` and the errors of the stores.
 */
export async function beginHistory(config: Config, onStep: (step: RestoreStep) => void): Promise<void> {
  const engine = engineOf(config);
  await checkData(engine);
  const lock = await openDataDir(config);
  try {
    await checkNoServer(config);
    await checkChains(engine);
    const masterKey = config.MASTER_KEY ?? (await loadMasterKey(config.DATA_DIR, async () => false));
    const history = randomUUID();
    // Opened before anything is changed: it refuses another master key.
    const vault = await openVault({ engine, masterKey });
    try {
      await dropReadModels(engine);
      onStep({ kind: 'read models deleted' });
      // Before the history: no client of the new one may find a `seq` whose key is destroyed.
      onStep({ kind: 'generation begun', generation: await vault.keys.beginGeneration() });
      await moveToEnd(engine, vault.subscriptions, history);
    } finally {
      await vault.close();
    }
    noteNewHistory(config.DATA_DIR, history);
    await renewHistory(engine, history);
    onStep({ kind: 'history begun', history });
    // A server that has started meanwhile still names the history of before.
    await checkNoServer(config);
  } finally {
    lock.release();
  }
}

/** A backup in the directory `restoring` of the data directory, which has nothing else yet. */
export interface StagedBackup extends BackupContents {
  /** With these settings a system runs on it. */
  readonly config: Config;
  /** What is to be erased and deleted again. Undefined if no list was given. */
  readonly erasures: ErasureList | undefined;
  /** Moves its files into the data directory. They must be closed. */
  finish(): void;
  /** Removes it, and what else was made. */
  abandon(): void;
}

/** What may lie in a data directory that counts as empty: the master key, a lock that nobody holds, a file system's own. */
const MAY_BE_THERE = /^(master\.key|lock(-journal)?|lost\+found)$/;
/** What a restore moves into the data directory. */
const RESTORED_FILE = /^((log|vault|read)\.db(-wal|-shm)?|new-history)$/;

/**
 * Copies a backup into an empty data directory, where `beginHistory` and an operator then work on it. Until `finish`, no
 * server starts there. Throws `BackupError`, `DataDirMismatch`, `DataDirInUse`, `LogMismatch` and `MasterKeyError`, with
 * nothing written.
 */
export async function stageBackup(config: Config, source: string, list?: string): Promise<StagedBackup> {
  const { DATA_DIR: dir, MONGO_URL, PARTITIONS } = config;
  if (MONGO_URL !== undefined)
    throw new DataDirMismatch(
      'MONGO_URL is set: put both databases back with their own tools, then run parley restore --here',
    );
  const from = resolve(source);
  const { logId, ...contents } = await readBackup(from);
  checkLogFile(logFileOf(from), PARTITIONS);
  const names = namesIn(dir);
  const wasCutOff = existsSync(restoringOf(dir));
  const inTheWay = names.filter((name) => !MAY_BE_THERE.test(name));
  if (inTheWay.length > 0 && !wasCutOff)
    throw new DataDirMismatch(
      `DATA_DIR (${resolve(dir)}) is not empty: it has ${inTheWay[0]}; parley restore <dir> needs a directory with nothing but master.key`,
    );
  const masterKey = config.MASTER_KEY ?? (await loadMasterKey(dir, async () => false));
  checkVaultFile(vaultFileOf(from), masterKey);
  const erasures = list === undefined ? undefined : readErasures(list, logId);
  const staging = restoringOf(dir);
  const { release, undo } = takeDirectory(dir, names);
  const abandon = (): void => {
    rmSync(staging, { recursive: true, force: true });
    release();
    undo();
  };
  try {
    if (wasCutOff) removeCutOff(dir);
    mkdirSync(staging, { mode: 0o700 });
    for (const file of [logFileOf, vaultFileOf]) {
      copyFileSync(file(from), file(staging), constants.COPYFILE_FICLONE);
      chmodSync(file(staging), 0o600);
      syncPath(file(staging));
    }
    syncPath(staging);
  } catch (cause) {
    abandon();
    throw new BackupError(`the backup could not be copied: ${messageOf(cause)}`, { cause });
  }
  return {
    ...contents,
    config: { ...config, DATA_DIR: staging, MASTER_KEY: Buffer.from(masterKey) },
    erasures,
    finish() {
      for (const name of readdirSync(staging))
        if (RESTORED_FILE.test(name)) renameSync(join(staging, name), join(dir, name));
      syncPath(dir);
      rmSync(staging, { recursive: true });
      syncPath(dir);
      release();
    },
    abandon,
  };
}

/** Makes and locks a data directory with these names in it. `undo` removes what this has made. */
function takeDirectory(dir: string, names: readonly string[]) {
  const removeDirectory = makeDirectory(dir);
  const undo = (): void => {
    for (const name of ['lock', 'lock-journal'])
      if (!names.includes(name)) rmSync(join(dir, name), { force: true });
    removeDirectory();
  };
  const lock = lockDataDir(dir);
  return { release: () => lock.release(), undo };
}

/** Removes what an earlier restore has left, which may have moved some of its files. */
function removeCutOff(dir: string): void {
  for (const name of readdirSync(dir)) if (RESTORED_FILE.test(name)) rmSync(join(dir, name));
  rmSync(restoringOf(dir), { recursive: true });
}

/** Throws `DataDirMismatch` unless the parts of a system have been put back. */
async function checkData(engine: Engine): Promise<void> {
  if (engine.kind === 'sqlite') {
    const { dataDir } = engine;
    if (existsSync(logFileOf(dataDir)) || existsSync(vaultFileOf(dataDir))) return;
    throw new DataDirMismatch(
      `DATA_DIR (${dataDir}) holds no log; put log.db, vault.db and master.key back into it first`,
    );
  }
  if (!(await hasVault(engine.url)))
    throw new DataDirMismatch('MONGO_URL has no vault; put both databases back first');
}

/** Throws the error of a log that is damaged: to begin a new history would not mend it. */
async function checkChains(engine: Engine): Promise<void> {
  const log = await openAuditedLog(engine);
  try {
    for (let partition = 0; partition < log.partitions; partition++)
      await checkPartitionChain(log, partition);
  } catch (cause) {
    throw new BackupError(`the log is damaged: ${messageOf(cause)}; put another backup back`, { cause });
  } finally {
    await log.close();
  }
}

/** Throws `DataDirInUse` if a node lives, or was killed so recently that it may. */
export async function checkNoServer({ MONGO_URL: url }: Config): Promise<void> {
  if (url === undefined) return;
  const log = await mongoLog({ url });
  const { partitions } = log;
  await log.close();
  const cluster = await openCluster(url, { node: randomUUID(), capabilities }, partitions);
  try {
    const live = await cluster.nodes.listLive();
    if (live.length === 0) return;
    throw new DataDirInUse(
      `${live.length} ${live.length === 1 ? 'server runs' : 'servers run'} on this database; stop all of them, or wait 10 s after one was killed, and run this again`,
    );
  } finally {
    await cluster.close();
  }
}

async function renewHistory(engine: Engine, history: string): Promise<void> {
  if (engine.kind === 'sqlite') return renewFileHistory(logFileOf(engine.dataDir), history);
  const { renewMongoHistory } = await import('../log/mongoLogMeta.js');
  await renewMongoHistory(engine.url, history);
}

/** What the vault has destroyed, and the log does not say: the restored log ends before it. */
export interface LostErasures {
  readonly users: readonly UserId[];
  /** Reports for which the vault keeps texts. */
  readonly reports: readonly string[];
  /** The rooms of these users. */
  readonly members: readonly { readonly roomId: RoomId; readonly userId: UserId }[];
  readonly messages: readonly MessageRef[];
}

type ReadableLog = Pick<EventLog, 'partitions' | 'read'>;
interface LostErasureSources {
  readonly keys: Pick<KeyStore, 'getKeys' | 'getRoomKeys'>;
  readonly holds: Pick<HoldTable, 'pageHolds'>;
}
const READ_COMMITS = 256;

async function* eventsIn(log: ReadableLog): AsyncGenerator<readonly Recorded[]> {
  for (let partition = 0; partition < log.partitions; partition++)
    for (let after = 0; ; ) {
      const commits = await log.read(partition, after, READ_COMMITS);
      const last = commits.at(-1);
      if (last === undefined) break;
      after = last.position;
      yield commits.flatMap(({ firstOffset, leaves }) =>
        leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i)),
      );
    }
}

const HOLDS_PER_READ = 1000;

/** What reports keep: the messages that were deleted meanwhile, as `<room>/<seq>`, and the reports' names. */
async function readHolds(holds: Pick<HoldTable, 'pageHolds'>) {
  const [deleted, reports] = [new Set<string>(), new Set<string>()];
  for (let after = ''; ; ) {
    const page = await holds.pageHolds(after, HOLDS_PER_READ);
    for (const { roomId, seq, report, isDeleted } of page) {
      reports.add(report);
      if (isDeleted) deleted.add(`${roomId}/${seq}`);
    }
    const last = page.at(-1);
    if (!last) return { deleted, reports };
    after = holdId(last);
  }
}

/** The reports for which the vault keeps texts and that the log does not have. Reads the whole log if there are any texts. */
export async function findLostReports(
  log: ReadableLog,
  holds: Pick<HoldTable, 'pageHolds'>,
): Promise<string[]> {
  const { reports } = await readHolds(holds);
  if (reports.size > 0) for await (const events of eventsIn(log)) removeReported(reports, events);
  return [...reports];
}

function removeReported(reports: Set<string>, events: readonly Recorded[]): void {
  for (const { type, data, stream } of events)
    if (type === 'MessageReported') reports.delete(reportName(parseStream(stream).id, data.reportId));
}

/**
 * Reads the whole log twice. Finds the users and messages whose keys the vault has destroyed, or keeps only for a report,
 * although the log neither erases nor deletes them; and the reports that the log does not have. Throws the errors of log
 * and vault.
 */
export async function findLostErasures(
  log: ReadableLog,
  { keys, holds }: LostErasureSources,
): Promise<LostErasures> {
  const { deleted, reports } = await readHolds(holds);
  const gone = new Set<string>();
  for await (const events of eventsIn(log)) {
    removeReported(reports, events);
    for (const { type, data } of events)
      if (type === 'UserErased') gone.add(data.userId);
      else if (type === 'MessageDeleted') gone.add(`${data.roomId}/${data.seq}`);
  }
  const users = new Set<UserId>();
  const members: { roomId: RoomId; userId: UserId }[] = [];
  const messages: MessageRef[] = [];
  for await (const events of eventsIn(log)) {
    const sent = events.filter((event) => event.type === 'MessageSent');
    const rooms = sent.map(({ actor, data: { roomId } }) => ({ owner: actor, roomId }));
    const keysOf = await keys.getRoomKeys(rooms);
    for (const { actor, data } of sent) {
      const found = keysOf.get(roomKeysId({ owner: actor, roomId: data.roomId }));
      if (!(found instanceof RoomKeys) || gone.has(`${data.roomId}/${data.seq}`)) continue;
      const isDeleted = deleted.has(`${data.roomId}/${data.seq}`);
      if (isDeleted || isTextDestroyed(found, { seq: data.seq, rev: 0 }, data.text))
        messages.push({ roomId: data.roomId, messageId: data.messageId });
    }
    const named = events.flatMap(({ type, data }) =>
      type === 'UserRegistered' || type === 'MemberJoined'
        ? [data.userId]
        : type === 'RoomCreated'
          ? data.members
          : [],
    );
    const owners = await keys.getKeys([...new Set(named)]);
    const isLost = (user: UserId) => owners.get(user) === 'destroyed' && !gone.has(user);
    for (const { type, data } of events)
      if (type === 'UserRegistered' && isLost(data.userId)) users.add(data.userId);
      else if (type === 'RoomCreated') {
        for (const userId of data.members) if (isLost(userId)) members.push({ roomId: data.roomId, userId });
      } else if (type === 'MemberJoined' && isLost(data.userId))
        members.push({ roomId: data.roomId, userId: data.userId });
  }
  return { users: [...users], members, messages, reports: [...reports] };
}
