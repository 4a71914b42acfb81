import { CLUSTER_COLLECTIONS, openAuditedLog } from '../audit/storedRows.js';
import { Meter, type OnProgress } from '../audit/verify/report.js';
import type { Config } from '../base/settings.js';
import { LogEndsEarly, type LogSource } from '../log/checkLog.js';
import { checkCommit, emptyHead } from '../log/commit.js';
import type { Commit } from '../log/log.js';
import { META_TABLE, metaOf } from '../log/logMeta.js';
import { foldedTables } from '../projections/allProjections.js';
import { messageIdFiltersModel } from '../projections/models/messageIdIndex.js';
import type { Engine } from '../projections/store/engine.js';
import { generations, tableOf } from '../projections/store/rowStore.js';
import { loadMasterKey } from '../vault/masterKey.js';
import { openVault } from '../vault/openVault.js';
import {
  rowText,
  VAULT_TABLES,
  type VaultRow,
  type VaultRows,
  type VaultTable,
} from '../vault/vaultTables.js';
import { findMove, type MovedLog, type MoveSource, openSource } from './moveSource.js';
import { MoveError, type MoveTarget, openTarget, type TargetLog } from './moveTarget.js';
import { checkLogIsNewest, engineOf, placeOf } from './openStores.js';

/** Of the nodes that run: the log has the epochs of leases, and nothing else of it outlives a stop. */
const OF_NODES = new Set(CLUSTER_COLLECTIONS);
/** The read models with the filters of message ids, their generations and checkpoints: folds of the log. */
const FOLDED = new Set([
  ...[...foldedTables, 'checkpoints'],
  ...[messageIdFiltersModel, generations].map(tableOf),
]);

/**
 * What `parley move` does with a table, or collection, of the log and the read models. A `folded` one is not copied: the
 * next start folds it from the log. Undefined for one that nobody has decided on. `VAULT_TABLES` are those of the vault.
 */
export function fateOf(table: string): 'copied' | 'folded' | 'left' | undefined {
  if (table === META_TABLE || /^commits(_\d+)?$/.test(table)) return 'copied';
  // The tables of indexes are `<table>__<index>`.
  if (FOLDED.has(table.split('__')[0] ?? '')) return 'folded';
  return OF_NODES.has(table) ? 'left' : undefined;
}

/** A step that is done and durable. */
export type MoveStep =
  | 'begun'
  | 'log copied'
  | 'vault copied'
  | 'verified'
  | 'source marked'
  | 'target opened';

export interface MoveHooks {
  readonly onProgress?: OnProgress | undefined;
  readonly onStep?: (step: MoveStep) => void;
}

/** A system that was moved. */
export interface Moved {
  readonly from: string;
  readonly to: string;
  /** Absent if an earlier run had copied everything. */
  readonly copied?: {
    readonly events: number;
    /** The rows of the vault. */
    readonly rows: number;
  };
}

/**
 * Copies log and vault of the stopped system of these settings to another engine, as they are, and verifies them there.
 * Then the source is marked, and does not start again. May be repeated, and goes on where an earlier run was cut off: until
 * the source is marked it still starts, and from then on the target is whole. Throws `MoveError`, `DataDirInUse`,
 * `DataDirMismatch`, `LogMismatch`, `MasterKeyError` and the errors of the stores.
 */
export async function moveSystem(config: Config, to: Engine, hooks: MoveHooks = {}): Promise<Moved> {
  const moved = await findMove(config);
  if (moved) return finishMove(config, to, moved);
  const source = await openSource(config);
  try {
    const masterKey = config.MASTER_KEY ?? (await loadMasterKey(config.DATA_DIR, async () => false));
    await checkVault(source.engine, source.log, masterKey);
    const target = await openTarget(to);
    try {
      return await copySystem(source, target, masterKey, hooks);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** The last step of a move that was cut off before it: the source is marked, so that everything is copied. */
async function finishMove(config: Config, to: Engine, moved: MovedLog): Promise<Moved> {
  const target = await openTarget(to);
  try {
    const from = placeOf(engineOf(config));
    if (moved.to !== target.place || !(await target.hasPart(moved.log)))
      throw new MoveError(`the system in ${from} was moved to ${moved.to} already`);
    const log = await openAuditedLog(engineOf(config));
    await log.close();
    await target.begin(metaOf(log), from);
    await target.open();
    return { from, to: target.place };
  } finally {
    await target.close();
  }
}

async function copySystem(
  source: MoveSource,
  target: MoveTarget,
  masterKey: Buffer,
  { onProgress, onStep = () => {} }: MoveHooks,
): Promise<Moved> {
  const { meta } = source;
  await target.check(meta.id);
  await source.fence();
  await target.begin(meta, source.place);
  onStep('begun');
  const log = await target.openLog(meta);
  let copied: NonNullable<Moved['copied']>;
  try {
    const ends = await endsOf(source.log);
    await copyLog(source.log, log, ends, onProgress);
    onStep('log copied');
    const rows = await copyVault(source.vault, target, onProgress);
    onStep('vault copied');
    await verifyLog(log, ends, onProgress);
    await checkVault(target.engine, log, masterKey);
    await checkUnchanged(source.log, ends);
    copied = { events: sum(ends.map((end) => end?.size ?? 0)), rows };
  } finally {
    await log.close();
  }
  onStep('verified');
  await source.mark(target.place);
  onStep('source marked');
  await target.open();
  onStep('target opened');
  return { from: source.place, to: target.place, copied };
}

/** Opens the vault with the master key, which makes its indexes, and checks that the log has all that was signed. */
async function checkVault(engine: Engine, log: MoveSource['log'], masterKey: Buffer): Promise<void> {
  const vault = await openVault({ engine, masterKey });
  try {
    await checkLogIsNewest(log, vault);
  } finally {
    await vault.close();
  }
}

/** The last commit of each partition. */
type Ends = readonly (Commit | undefined)[];

const endsOf = (log: MoveSource['log']): Promise<Ends> =>
  Promise.all(Array.from({ length: log.partitions }, async (_, partition) => log.tail(partition)));

async function checkUnchanged(log: MoveSource['log'], ends: Ends): Promise<void> {
  for (const [partition, tail] of (await endsOf(log)).entries())
    if (tail?.hash !== ends[partition]?.hash)
      throw new MoveError(
        `partition ${partition} has grown during the move: stop all servers, and run this command again to continue`,
      );
}

const COMMITS_PER_READ = 256;

/** Copies what the target lacks, up to these ends. */
async function copyLog(
  source: LogSource,
  target: TargetLog,
  ends: Ends,
  onProgress: OnProgress | undefined,
): Promise<void> {
  const starts = await startsOf(source, target);
  const positions = ends.map((end) => end?.position ?? 0);
  const meter = new Meter('copying the log', sum(positions), onProgress, sum(starts));
  for (const [partition, end] of positions.entries())
    for (let at = starts[partition] ?? 0; at < end; ) {
      const commits = await source.read(partition, at, Math.min(COMMITS_PER_READ, end - at));
      if (commits.length === 0) throw new LogEndsEarly(partition, at);
      await target.write(commits);
      at += commits.length;
      meter.add(commits.length);
    }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** By partition, the position up to which the target has the log. A copy of another history is removed. */
async function startsOf(source: LogSource, target: TargetLog): Promise<number[]> {
  const starts: number[] = [];
  for (const [partition, copied] of (await endsOf(target)).entries()) {
    const [same] = copied ? await source.read(partition, copied.position - 1, 1) : [];
    if (same?.hash !== copied?.hash) {
      await target.clear();
      return Array.from({ length: target.partitions }, () => 0);
    }
    starts.push(copied?.position ?? 0);
  }
  return starts;
}

/** Recomputes every hash of the copy, and compares its ends. So it has the bytes of the source. */
async function verifyLog(target: TargetLog, ends: Ends, onProgress: OnProgress | undefined): Promise<void> {
  const meter = new Meter('verifying the log', sum(ends.map((end) => end?.size ?? 0)), onProgress);
  for (const [partition, end] of ends.entries()) {
    let head = emptyHead(partition);
    while (head.position < (end?.position ?? 0)) {
      const commits = await target.read(partition, head.position, COMMITS_PER_READ);
      if (commits.length === 0) throw new LogEndsEarly(partition, head.position);
      const before = head.size;
      head = commits.reduce(checkCommit, head);
      meter.add(head.size - before);
    }
    if (end && head.hash !== end.hash)
      throw new MoveError(`partition ${partition} of the copy ends differently from the log`);
  }
}

async function* pagesOf(vault: VaultRows, table: VaultTable): AsyncGenerator<readonly VaultRow[]> {
  for (
    let page = await vault.page(table, undefined);
    page.length > 0;
    page = await vault.page(table, page.at(-1))
  )
    yield page;
}

/** Copies all rows of the vault into an empty one, then compares each with its copy. Returns the number of rows. */
async function copyVault(
  source: VaultRows,
  target: MoveTarget,
  onProgress: OnProgress | undefined,
): Promise<number> {
  const counts = await Promise.all(VAULT_TABLES.map((table) => source.count(table)));
  // Each row is copied, and then compared.
  const meter = new Meter('copying the vault', 2 * sum(counts), onProgress);
  const copy = await target.makeVault();
  try {
    for (const table of VAULT_TABLES)
      for await (const page of pagesOf(source, table)) {
        await copy.insert(table, page);
        meter.add(page.length);
      }
    for (const [i, table] of VAULT_TABLES.entries()) {
      const differs = new MoveError(`the copy of the table ${table.name} of the vault is not as the source`);
      if ((await copy.count(table)) !== counts[i]) throw differs;
      for await (const page of pagesOf(source, table)) {
        const copies = new Set((await copy.find(table, page)).map((row) => rowText(table, row)));
        if (!page.every((row) => copies.has(rowText(table, row)))) throw differs;
        meter.add(page.length);
      }
    }
  } finally {
    await copy.close();
  }
  return sum(counts);
}
