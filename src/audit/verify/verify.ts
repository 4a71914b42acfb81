import { WorkerPool } from '../../base/rpc.js';
import type { Engine } from '../../projections/store/engine.js';
import type { Checkpoint } from '../../projections/store/rowStore.js';
import { readTrustedHeads, type SignedHeads } from '../proof/trustedHeads.js';
import { type AuditedLog, openAuditedLog, openStoredRows, reportDamage } from '../storedRows.js';
import { type ComparedModel, findComparedModels } from './comparedModels.js';
import { type Mismatch, type OnProgress, type Report, toMismatch, toUnreadable } from './report.js';
import type { TrustedHead } from './verifyChain.js';
import { VerifyRun } from './verifyRun.js';
import { VerifyState } from './verifyState.js';
import type { VerifyApi, VerifyThreadData } from './verifyWorker.js';

/** For a section's events. */
const YOUNG_GENERATION_MB = 128;

/** What is checked, and against what. */
export interface VerifyOptions extends SignedHeads {
  readonly engine: Engine;
  /** A directory for what has been done, so that a check that was broken off goes on; emptied at its end. */
  readonly state?: string;
  readonly onProgress?: OnProgress;
  /** About how many events a thread checks in one go; 4,096 if not given. */
  readonly sectionEvents?: number;
}

/**
 * Computes the log anew, every leaf, root, hash, stream version, position, epoch and time, compares it with signed
 * heads, and the read models with a fresh fold. Changes nothing of the system, and may run beside it: each part is
 * checked as far as it was stored when the check began. Rejects with what a store throws that does not answer.
 */
export async function verifyLog(options: VerifyOptions): Promise<Report> {
  const { trustedHeads, mismatch } = readTrustedHeads(options);
  if (mismatch) return { partitions: [], models: [], mismatch };
  const log = await openAuditedLog(options.engine);
  let state: VerifyState | undefined;
  let pool: WorkerPool<VerifyApi> | undefined;
  try {
    // Before the tails: nothing may be stored or signed of what is beyond them.
    const comparedModels = await storedTargets(options.engine, log.partitions);
    if ('what' in comparedModels) return { partitions: [], models: [], mismatch: comparedModels };
    const ends: Checkpoint[] = [];
    for (let partition = 0; partition < log.partitions; partition++) {
      const end = await endOf(log, partition);
      if ('what' in end) return { partitions: [], models: [], mismatch: end };
      ends.push(end);
    }
    const beyond = trustedHeads.find(({ partition }) => partition >= log.partitions);
    if (beyond) return { partitions: [], models: [], mismatch: noSuchPartition(beyond, log.partitions) };
    const begun = { logId: log.id, ends, comparedModels, trustedHeads };
    state = VerifyState.open(begun, options.state);
    const data: VerifyThreadData = { engine: options.engine, directory: state.directory };
    pool = new WorkerPool<VerifyApi>(
      new URL('./verifyWorker.js', import.meta.url),
      data,
      YOUNG_GENERATION_MB,
    );
    const report = await new VerifyRun(pool, state, begun, options).run();
    await pool.close();
    pool = undefined;
    state.discard();
    state = undefined;
    return report;
  } finally {
    await pool?.close();
    state?.leave();
    await log.close();
  }
}

const noSuchPartition = ({ partition, source }: TrustedHead, partitions: number): Mismatch => ({
  what: `the log has ${partitions} partitions: ${source} is of partition ${partition}`,
  partition,
});

/** How far the read models are stored now; what is wrong if that cannot be read. */
async function storedTargets(engine: Engine, partitions: number): Promise<ComparedModel[] | Mismatch> {
  try {
    const stored = await openStoredRows(engine);
    try {
      return await findComparedModels(reportDamage(stored), partitions);
    } finally {
      await stored.close();
    }
  } catch (error) {
    return toUnreadable(error, 'the read models');
  }
}

/** Where a partition ends now; what is wrong if its last commit cannot be read. */
async function endOf(log: AuditedLog, partition: number): Promise<Checkpoint | Mismatch> {
  try {
    const tail = await log.tail(partition);
    return { position: tail?.position ?? 0, size: tail?.size ?? 0 };
  } catch (error) {
    const { what } = toMismatch(error, partition, 0);
    return { partition, what: `the last commit of partition ${partition} cannot be read: ${what}` };
  }
}
