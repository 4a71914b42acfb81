import { WorkerPool } from '../../base/workerThreads.js';
import { leafTest } from '../../domain/codec.js';
import { readRange } from '../../log/checkLog.js';
import { LogMismatch } from '../../log/logMeta.js';
import { decodeCommit } from '../../projections/commitBuffer.js';
import { foldEvents, type Rows } from '../../projections/projection.js';
import type { Engine } from '../../projections/store/engine.js';
import type { Checkpoint } from '../../projections/store/rowStore.js';
import { SqliteFile } from '../../projections/store/sqliteReads.js';
import { type OpenVault, openVault } from '../../vault/openVault.js';
import { createPlaintextCache, createTextOpener } from '../../vault/textOpener.js';
import { readTrustedHeads, type SuppliedHeads } from '../proof/trustedHeads.js';
import {
  type AuditedLog,
  openAuditedLog,
  openStoredRows,
  reportDamage,
  type StoredRows,
  sqliteRows,
} from '../storedRows.js';
import { checkKeys, type KeyUse, type KeyUses, keyUses } from './checkKeys.js';
import { findWrongEntry, findWrongTables, hasNames, type IndexedNames } from './checkTables.js';
import { type ComparedModel, findComparedModels } from './comparedModels.js';
import {
  type Mismatch,
  MismatchError,
  type OnProgress,
  type Report,
  toMismatch,
  toUnreadable,
} from './report.js';
import { VerifyRun } from './verifyRun.js';
import { scratchFile } from './verifySection.js';
import { type TrustedHead, VerifyState } from './verifyState.js';
import type { VerifyApi, VerifyThreadData } from './verifyWorker.js';

/** The memory for one section's events. */
const YOUNG_GENERATION_MB = 128;

/** The log to check, and the heads to compare it with. */
export interface VerifyOptions extends SuppliedHeads {
  readonly engine: Engine;
  /** Opens the vault. Without it, neither keys nor the index of names are compared. */
  readonly masterKey?: Buffer;
  /** A directory for intermediate results, so that an interrupted check can continue. Emptied at the end. */
  readonly state?: string;
  readonly onProgress?: OnProgress;
  /** About how many events a thread checks in one call; 4,096 by default. */
  readonly sectionEvents?: number;
}

/** The stores of a check. */
interface Opened {
  readonly log: AuditedLog;
  readonly stored: StoredRows;
  readonly vault: OpenVault | undefined;
}

/**
 * Recomputes the log: every leaf, root, hash, stream version, position, epoch and time. Compares it with
 * signed heads, and the read models, their indexes and the keys with a fresh fold. Changes nothing, and may run beside a
 * server. Each part is checked as far as it was stored at the start. Rejects with the error of a store that does not
 * answer.
 */
export async function verifyLog(options: VerifyOptions): Promise<Report> {
  const { trustedHeads, mismatch } = readTrustedHeads(options);
  if (mismatch) return { partitions: [], models: [], mismatch };
  const closing: (() => unknown)[] = [];
  try {
    const log = await openLog(options.engine);
    closing.push(() => log.close());
    const stored = reportDamage(await openRows(options.engine));
    closing.push(() => stored.close());
    const { engine, masterKey } = options;
    const vault = masterKey && (await openVault({ engine, masterKey }));
    closing.push(() => vault?.close());
    return await verifyOpened({ log, stored, vault }, trustedHeads, options);
  } catch (error) {
    if (!(error instanceof MismatchError)) throw error;
    return { partitions: [], models: [], mismatch: error.mismatch };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function openLog(engine: Engine): Promise<AuditedLog> {
  try {
    return await openAuditedLog(engine);
  } catch (error) {
    if (error instanceof LogMismatch) throw new MismatchError({ what: error.message });
    throw error;
  }
}

async function openRows(engine: Engine): Promise<StoredRows> {
  try {
    return await openStoredRows(engine);
  } catch (error) {
    throw new MismatchError(toUnreadable(error, 'the read models'));
  }
}

async function verifyOpened(
  opened: Opened,
  trustedHeads: readonly TrustedHead[],
  options: VerifyOptions,
): Promise<Report> {
  const { log, stored } = opened;
  const { engine } = options;
  const destroyed = await destructionProgress(opened);
  // Before the tails are read, so that no model and no head is ahead of them.
  const comparedModels = await findComparedModels(stored, log.partitions);
  const ends: Checkpoint[] = [];
  for (let partition = 0; partition < log.partitions; partition++) ends.push(await readEnd(log, partition));
  const beyond = trustedHeads.find(({ partition }) => partition >= log.partitions);
  if (beyond) throw new MismatchError(noSuchPartition(beyond, log.partitions));
  const wrongTables = await findWrongTables({ engine, log, stored });
  const begun = { logId: log.id, ends, comparedModels, trustedHeads };
  let state: VerifyState | undefined = VerifyState.open(begun, options.state);
  let pool: WorkerPool<VerifyApi> | undefined;
  try {
    const data: VerifyThreadData = { engine, directory: state.directory };
    pool = new WorkerPool<VerifyApi>(
      new URL('./verifyWorker.js', import.meta.url),
      data,
      YOUNG_GENERATION_MB,
    );
    const report = await new VerifyRun(pool, state, begun, options).run();
    await pool.close();
    pool = undefined;
    // The log explains what is wrong in tables and keys, and keys explain what is wrong in names.
    const mismatch =
      report.mismatch ??
      wrongTables ??
      (await compareVault(opened, state.directory, { ends, destroyed })) ??
      (await compareNames(opened, comparedModels.find(hasNames)));
    state.discard();
    state = undefined;
    return mismatch ? { ...report, mismatch } : report;
  } finally {
    await pool?.close();
    state?.leave();
  }
}

const noSuchPartition = ({ partition, source }: TrustedHead, partitions: number): Mismatch => ({
  what: `the log has ${partitions} partitions, but ${source} is of partition ${partition}`,
  partition,
});

/** By partition, the number of events whose deletions are carried out. */
function destructionProgress({ log, vault }: Opened): Promise<number[]> {
  const partitions = Array.from({ length: log.partitions }, (_, partition) => partition);
  return Promise.all(partitions.map(async (partition) => vault?.keys.destructionProgress(partition) ?? 0));
}

/** The end of a partition now. Throws a `MismatchError` if its last commit cannot be read. */
async function readEnd(log: AuditedLog, partition: number): Promise<Checkpoint> {
  try {
    const tail = await log.tail(partition);
    return { position: tail?.position ?? 0, size: tail?.size ?? 0 };
  } catch (error) {
    const { what } = toMismatch(error, partition, 0);
    throw new MismatchError({
      partition,
      what: `the last commit of partition ${partition} cannot be read: ${what}`,
    });
  }
}

/** Compares the index of names with the names that the vault's keys open. */
async function compareNames(
  { stored, vault }: Opened,
  comparedModel: ComparedModel | undefined,
): Promise<Mismatch | undefined> {
  if (!vault || !comparedModel) return undefined;
  const cache = createPlaintextCache();
  try {
    const names: IndexedNames = {
      usernames: createTextOpener(vault.keys, cache).usernames,
      isErasing: async (asked) => (await vault.erasures.list()).some(({ userId }) => userId === asked),
    };
    return await findWrongEntry(stored, comparedModel, names);
  } catch (error) {
    return toUnreadable(error, 'the index of names');
  } finally {
    cache.close();
  }
}

/** People and rooms whose keys are compared at once. */
const USES_PER_READ = 256;

/** Compares the keys of the vault with what the fresh fold says of them. */
async function compareVault(
  { log, vault }: Opened,
  directory: string,
  { ends, destroyed }: { readonly ends: readonly Checkpoint[]; readonly destroyed: readonly number[] },
): Promise<Mismatch | undefined> {
  if (!vault) return undefined;
  for (const [partition, end] of ends.entries()) {
    if ((destroyed[partition] ?? 0) > end.size) {
      const what = `the vault has destroyed keys up to event ${destroyed[partition]}, which partition ${partition} does not have`;
      return { what, partition };
    }
    const fresh = sqliteRows(
      new SqliteFile(scratchFile(directory, partition), { readOnly: true, pragmas: [] }),
    );
    const facts = {
      partition,
      destroyed: destroyed[partition] ?? 0,
      behind: () => usesBehind(log, partition, end.position),
    };
    try {
      for (let after: string | undefined; ; ) {
        const page = await fresh.page(keyUses.model, after, USES_PER_READ);
        // `keyUses` has made the rows of this table.
        const uses = new Map(page.map(([key, , , value]) => [key, JSON.parse(value ?? '{}') as KeyUse]));
        const mismatch = await checkKeys(vault, uses, facts);
        if (mismatch) return mismatch;
        after = page.at(-1)?.[0];
        if (after === undefined) break;
      }
    } finally {
      await fresh.close();
    }
  }
  return undefined;
}

const isDestruction = [leafTest({ type: 'MessageDeleted' }), leafTest({ type: 'UserErased' })];

/** The uses of keys by events that destroy them, behind a position. */
async function usesBehind(log: AuditedLog, partition: number, after: number): Promise<KeyUses> {
  const rows: Rows = new Map();
  const upTo = (await log.tail(partition))?.position ?? 0;
  for await (const commit of readRange(log, { partition, after, upTo }))
    if (commit.leaves.some((leaf) => isDestruction.some((isOne) => isOne(leaf))))
      foldEvents(keyUses, decodeCommit(commit).events, () => undefined, rows);
  // `keyUses` makes these rows, and none is a tombstone.
  return new Map([...rows].map(([key, { value }]) => [key, value as KeyUse]));
}
