import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { openAuditedLog } from '../audit/storedRows.js';
import { messageOf } from '../base/errors.js';
import { makeDirectory, sha256Of, syncPath } from '../base/files.js';
import type { Config } from '../base/settings.js';
import { decodeLeaf, eventTest } from '../domain/codec.js';
import { Id } from '../domain/fields.js';
import type { MessageRef, UserId } from '../domain/ids.js';
import { readRange } from '../log/checkLog.js';
import { copyLogFile, type LogEnd, readLogEnd } from '../log/logFile.js';
import { logFileOf } from '../projections/store/engine.js';
import { copyVaultFile, vaultFileOf } from '../vault/openVault.js';
import { findMoved, noteLastBackup } from './dataDir.js';
import { engineOf } from './openStores.js';

/** The backup cannot be made, or is none. The message says what to do. Nothing was written, or what was is removed. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** The format that this program writes and reads: another number belongs to another version. */
const FORMAT = 1;
/** Has the parts of a backup while it is being made. */
const DRAFT_DIRECTORY = 'unfinished';

/** Written last: a directory without it is no backup. */
const manifestFileOf = (dir: string): string => join(dir, 'backup.json');

const AnyManifest = z.looseObject({ format: z.int() });
const Manifest = z.strictObject({
  format: z.literal(FORMAT),
  madeAt: z.string(),
  log: z.string(),
  history: z.string(),
  /** The last commit of each partition. */
  ends: z.array(
    z.strictObject({ position: z.int(), size: z.int(), hash: z.string(), recordedAt: z.string() }),
  ),
  /** SHA-256 of the files, in hex. */
  sums: z.strictObject({ log: z.string(), vault: z.string() }),
});

/** What a backup has. */
export interface BackupContents {
  readonly events: number;
  /** The time of the last event, or of the last start. */
  readonly until: string;
}

const contentsOf = (ends: LogEnd['ends']): BackupContents => ({
  events: ends.reduce((sum, { size }) => sum + size, 0),
  until:
    ends
      .map(({ recordedAt }) => recordedAt)
      .toSorted()
      .at(-1) ?? '',
});

/** Makes an empty file that only its owner may read. */
export const createPrivate = (file: string): void => closeSync(openSync(file, 'wx', 0o600));

/** The names in a directory; none if it does not exist. Throws `BackupError` for something else of this name. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw new BackupError(`${dir} cannot be read as a directory: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Copies log and vault of the embedded system in `DATA_DIR`, running or stopped, into an empty or new directory. The end
 * of the log is read first. So the copy has all that was acknowledged before the call, and the vault, which is copied
 * next, all keys that this log needs. Throws `BackupError`, and then leaves nothing.
 */
export async function makeBackup(config: Config, target: string): Promise<BackupContents> {
  const { DATA_DIR, MONGO_URL } = config;
  if (MONGO_URL !== undefined)
    throw new BackupError(
      'MONGO_URL is set: back up the database with its own tools; parley backup <dir> copies an embedded system',
    );
  const moved = findMoved(DATA_DIR);
  if (moved)
    throw new BackupError(
      `the system in DATA_DIR (${resolve(DATA_DIR)}) was moved to ${moved.place}: back that database up with its own tools`,
    );
  if (!existsSync(logFileOf(DATA_DIR)) || !existsSync(vaultFileOf(DATA_DIR)))
    throw new BackupError(`DATA_DIR (${resolve(DATA_DIR)}) holds no embedded system to back up`);
  const dir = resolve(target);
  if (`${dir}${sep}`.startsWith(`${resolve(DATA_DIR)}${sep}`))
    throw new BackupError(
      `${dir} is in DATA_DIR, beside the data and its key; name a directory elsewhere, best on another disk`,
    );
  const names = namesIn(dir);
  if (names.length === 1 && names[0] === DRAFT_DIRECTORY)
    throw new BackupError(`${dir} has a backup that was cut off; delete it, or name another directory`);
  if (names.length > 0) throw new BackupError(`${dir} is not empty; name an empty directory, or a new one`);
  let removeDirectory = () => {};
  const draft = join(dir, DRAFT_DIRECTORY);
  try {
    removeDirectory = makeDirectory(dir);
    mkdirSync(draft, { mode: 0o700 });
    const { end, madeAt } = await writeParts(DATA_DIR, draft);
    for (const file of [logFileOf, vaultFileOf, manifestFileOf]) renameSync(file(draft), file(dir));
    rmdirSync(draft);
    syncPath(dir);
    const contents = contentsOf(end.ends);
    noteLastBackup(DATA_DIR, { madeAt, events: contents.events });
    return contents;
  } catch (cause) {
    for (const file of [manifestFileOf, logFileOf, vaultFileOf]) rmSync(file(dir), { force: true });
    rmSync(draft, { recursive: true, force: true });
    removeDirectory();
    throw new BackupError(`the backup in ${dir} could not be made: ${messageOf(cause)}`, { cause });
  }
}

async function writeParts(
  dataDir: string,
  draft: string,
): Promise<{ readonly end: LogEnd; readonly madeAt: string }> {
  for (const file of [logFileOf, vaultFileOf, manifestFileOf]) createPrivate(file(draft));
  const end = readLogEnd(logFileOf(dataDir));
  copyVaultFile(vaultFileOf(dataDir), vaultFileOf(draft));
  await copyLogFile(logFileOf(dataDir), logFileOf(draft), end);
  const manifest: z.input<typeof Manifest> = {
    format: FORMAT,
    madeAt: new Date().toISOString(),
    log: end.meta.id,
    history: end.meta.history,
    ends: [...end.ends],
    sums: { log: await sha256Of(logFileOf(draft)), vault: await sha256Of(vaultFileOf(draft)) },
  };
  writeFileSync(manifestFileOf(draft), `${JSON.stringify(manifest, undefined, 2)}\n`);
  for (const file of [logFileOf, vaultFileOf, manifestFileOf]) syncPath(file(draft));
  syncPath(draft);
  return { end, madeAt: manifest.madeAt };
}

/** Reads what this directory has. Throws `BackupError` unless it is a whole backup that this version reads. */
export async function readBackup(dir: string): Promise<BackupContents & { readonly logId: string }> {
  const manifest = readManifest(dir);
  const refuse = (why: string, cause?: unknown) => new BackupError(`${dir} is damaged: ${why}`, { cause });
  for (const [file, sum] of [
    [logFileOf(dir), manifest.sums.log],
    [vaultFileOf(dir), manifest.sums.vault],
  ] as const) {
    if (!existsSync(file)) throw refuse(`${basename(file)} is missing`);
    if ((await sha256Of(file)) !== sum) throw refuse(`${basename(file)} is not as it was when it was made`);
  }
  let found: LogEnd;
  try {
    found = readLogEnd(logFileOf(dir));
  } catch (cause) {
    throw refuse(messageOf(cause), cause);
  }
  const { meta, ends } = found;
  const isSame =
    meta.id === manifest.log &&
    meta.history === manifest.history &&
    ends.length === manifest.ends.length &&
    ends.every(({ size, hash }, i) => size === manifest.ends[i]?.size && hash === manifest.ends[i]?.hash);
  if (!isSame) throw refuse('log.db is not the log that backup.json describes');
  return { ...contentsOf(ends), logId: meta.id };
}

function readManifest(dir: string): z.output<typeof Manifest> {
  const file = manifestFileOf(dir);
  let text: unknown;
  try {
    text = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new BackupError(`${dir} is not a backup: ${basename(file)} is missing or damaged`, { cause });
  }
  const format = AnyManifest.safeParse(text).data?.format;
  if (format !== undefined && format > FORMAT)
    throw new BackupError(
      `${dir} is a backup of format ${format}, but this version reads format ${FORMAT}; use the version that made it, or a later one`,
    );
  const parsed = Manifest.safeParse(text);
  if (!parsed.success)
    throw new BackupError(`${dir} is not a backup: ${basename(file)} is missing or damaged`);
  return parsed.data;
}

/** What was erased and deleted until it was made. It has ids only. */
export interface ErasureList {
  readonly madeAt: string;
  readonly users: readonly UserId[];
  readonly messages: readonly MessageRef[];
}

/** Each line behind the first names one user or one message. The first says how many follow: a list may be cut off. */
const ListHead = z.strictObject({
  erasures: z.literal(FORMAT),
  log: z.string(),
  madeAt: z.string(),
  lines: z.int(),
});
const ListLine = z.union([z.strictObject({ userId: Id }), z.strictObject({ roomId: Id, messageId: Id })]);

/**
 * Writes the list of what the log of these settings has erased and deleted, in place of an earlier list. Reads the whole
 * log. Throws the errors of the log and of the file system; the earlier list is then left as it was.
 */
export async function writeErasures(config: Config, target: string): Promise<ErasureList> {
  const file = resolve(target);
  // Before the log, which is read to its end: what is erased meanwhile may be missing.
  const madeAt = new Date().toISOString();
  const { logId, users, messages } = await findErasures(config);
  checkReplaceable(file, logId);
  const lines = [
    { erasures: FORMAT, log: logId, madeAt, lines: users.length + messages.length },
    ...users.map((userId) => ({ userId })),
    ...messages,
  ];
  const draft = `${file}.${randomUUID()}`;
  try {
    createPrivate(draft);
    writeFileSync(draft, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    syncPath(draft);
    renameSync(draft, file);
    syncPath(dirname(file));
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new BackupError(`${file} could not be written: ${messageOf(cause)}`, { cause });
  }
  return { madeAt, users, messages };
}

/** Throws `BackupError` if there is something that is no earlier list of this log: it may be a database or a key. */
function checkReplaceable(file: string, logId: string): void {
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (!there) return;
  if (!there.isFile()) throw new BackupError(`${file} is not a file; name a new file, or an earlier list`);
  try {
    readErasures(file, logId);
  } catch (cause) {
    throw new BackupError(
      `${file} exists and is not a list of erasures of this log; name a new file, or an earlier list`,
      { cause },
    );
  }
}

const isUserErased = eventTest('UserErased');
const isMessageDeleted = eventTest('MessageDeleted');

async function findErasures(
  config: Config,
): Promise<Omit<ErasureList, 'madeAt'> & { readonly logId: string }> {
  const log = await openAuditedLog(engineOf(config));
  try {
    const [users, messages] = [new Set<UserId>(), new Map<string, MessageRef>()];
    for (let partition = 0; partition < log.partitions; partition++) {
      const upTo = (await log.tail(partition))?.position ?? 0;
      const read = async (of: number, after: number, limit: number) => log.read(of, after, limit);
      for await (const { leaves, firstOffset } of readRange({ read }, { partition, after: 0, upTo }))
        for (const [i, leaf] of leaves.entries()) {
          if (!isUserErased(leaf) && !isMessageDeleted(leaf)) continue;
          const { type, data } = decodeLeaf(leaf, partition, firstOffset + i);
          if (type === 'UserErased') users.add(data.userId);
          else if (type === 'MessageDeleted') {
            const { roomId, messageId } = data;
            messages.set(`${roomId}/${messageId}`, { roomId, messageId });
          }
        }
    }
    return { logId: log.id, users: [...users], messages: [...messages.values()] };
  } finally {
    await log.close();
  }
}

/** Reads a list that `writeErasures` wrote. Throws `BackupError` unless it is whole, and of this log. */
export function readErasures(file: string, logId: string): ErasureList {
  const refuse = (why: string, cause?: unknown) => new BackupError(`${file} ${why}`, { cause });
  try {
    const [head, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
    const { log, madeAt, lines: count } = ListHead.parse(JSON.parse(head ?? ''));
    if (log !== logId) throw refuse(`lists the erasures of another log, ${log}; this one is ${logId}`);
    if (count !== lines.length) throw refuse(`is cut off: it has ${lines.length} of ${count} lines`);
    const parsed = lines.map((line) => ListLine.parse(JSON.parse(line)));
    return {
      madeAt,
      users: parsed.flatMap((line) => ('userId' in line ? [line.userId] : [])),
      messages: parsed.flatMap((line) => ('messageId' in line ? [line] : [])),
    };
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    if (cause instanceof Error && 'code' in cause) throw refuse(`cannot be read: ${cause.message}`, cause);
    throw refuse('is not a list of erasures that this version can read', cause);
  }
}
