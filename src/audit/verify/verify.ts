import { WorkerPool } from '../../base/workerThreads.js';
import type { Engine } from '../../projections/store/engine.js';
import type { Checkpoint } from '../../projections/store/rowStore.js';
import { readTrustedHeads, type SuppliedHeads } from '../proof/trustedHeads.js';
import { type AuditedLog, openAuditedLog, openStoredRows, reportDamage } from '../storedRows.js';
import { type ComparedModel, findComparedModels } from './comparedModels.js';
import { type Mismatch, type OnProgress, type Report, toMismatch, toUnreadable } from './report.js';
import { VerifyRun } from './verifyRun.js';
import { type TrustedHead, VerifyState } from './verifyState.js';
import type { VerifyApi, VerifyThreadData } from './verifyWorker.js';

/** The memory for one section's events. */
const YOUNG_GENERATION_MB = 128;

/** The log to check, and the heads to compare it with. */
export interface VerifyOptions extends SuppliedHeads {
  readonly engine: Engine;
  /** A directory for intermediate results, so that an interrupted check can continue. Emptied at the end. */
  readonly state?: string;
  readonly onProgress?: OnProgress;
  /** About how many events a thread checks in one call; 4,096 by default. */
  readonly sectionEvents?: number;
}

/**
 * Recomputes the log: every leaf, root, hash, stream version, position, epoch and time. Compares it with
 * signed heads, and the read models with a fresh fold. Changes nothing, and may run beside a server. Each
 * part is checked as far as it was stored at the start. Rejects with the error of a store that does not
 * answer.
 */
export async function verifyLog(options: VerifyOptions): Promise<Report> {
  const { trustedHeads, mismatch } = readTrustedHeads(options);
  if (mismatch) return { partitions: [], models: [], mismatch };
  const log = await openAuditedLog(options.engine);
  let state: VerifyState | undefined;
  let pool: WorkerPool<VerifyApi> | undefined;
  try {
    // Before the tails are read, so that no model and no head is ahead of them.
    const comparedModels = await readComparedModels(options.engine, log.partitions);
    if ('what' in comparedModels) return { partitions: [], models: [], mismatch: comparedModels };
    const ends: Checkpoint[] = [];
    for (let partition = 0; partition < log.partitions; partition++) {
      const end = await readEnd(log, partition);
      if ('what' in end) return { partitions: [], models: [], mismatch: end };
      ends.push(end);
    }
    const beyond = trustedHeads.find(({ partition }) => partition >= log.partitions);
    if (beyond) return { partitions: [], models: [], mismatch: noSuchPartition(beyond, log.partitions) };
    const begun = { history: log.history, ends, comparedModels, trustedHeads };
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
  what: `the log has ${partitions} partitions, but ${source} is of partition ${partition}`,
  partition,
});

/** The compared models, or the mismatch if their checkpoints cannot be read. */
async function readComparedModels(engine: Engine, partitions: number): Promise<ComparedModel[] | Mismatch> {
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

/** The end of a partition now, or the mismatch if its last commit cannot be read. */
async function readEnd(log: AuditedLog, partition: number): Promise<Checkpoint | Mismatch> {
  try {
    const tail = await log.tail(partition);
    return { position: tail?.position ?? 0, size: tail?.size ?? 0 };
  } catch (error) {
    const { what } = toMismatch(error, partition, 0);
    return { partition, what: `the last commit of partition ${partition} cannot be read: ${what}` };
  }
}
