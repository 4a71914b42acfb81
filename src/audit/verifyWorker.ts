import { parentPort, workerData } from 'node:worker_threads';
import type { Head } from '../log/commit.js';
import type { Engine } from '../projections/engine.js';
import type { Checkpoint } from '../projections/rows.js';
import { SqliteFile } from '../projections/sqliteFile.js';
import type { StoredRow } from '../projections/sqliteReads.js';
import { serve } from '../threads/rpc.js';
import type { Share } from './foldWork.js';
import type { Target } from './freshModels.js';
import { soundRows } from './soundRows.js';
import { openSource, type SourceLog } from './source.js';
import { openStoredRows, type StoredRows, sqliteRows } from './storedRows.js';
import { judgeAhead } from './verifyAhead.js';
import { checkChain, type Witness } from './verifyChain.js';
import { type FoldStep, PartitionFold, scratchFile } from './verifyFold.js';
import { compareTable, findMissing, findUnmade, type TableParts, type TableStep } from './verifyTable.js';
import { Contradiction, type Wrong } from './wrong.js';

/** What the thread is given. */
export interface VerifyThreadData {
  readonly engine: Engine;
  /** Where partitions are folded anew. */
  readonly directory: string;
}

/** Events of one step: a fraction of a second, after which progress is told. */
const STEP_EVENTS = 16_384;

// The thread is started with these by `verifyLog`.
const { engine, directory } = workerData as VerifyThreadData;
let opened: Promise<{ log: SourceLog; stored: StoredRows }> | undefined;
/** The share of a partition that this thread is at, until it is done. */
let folding: PartitionFold | undefined;
let compared: TableParts | undefined;

async function open(): Promise<{ log: SourceLog; stored: StoredRows }> {
  return { log: await openSource(engine), stored: soundRows(await openStoredRows(engine)) };
}

function parts(): Promise<{ log: SourceLog; stored: StoredRows }> {
  opened ??= open();
  return opened;
}

async function tables(): Promise<TableParts> {
  const { log, stored } = await parts();
  const files = (share: Share) =>
    Array.from({ length: log.partitions }, (_, partition) =>
      sqliteRows(new SqliteFile(scratchFile(directory, share, partition), { readOnly: true, pragmas: [] })),
    );
  compared ??= { log, stored, fresh: files('changed'), counts: files('inserted') };
  return compared;
}

/** What comes of it; for a table that cannot be read, what is made of that finding. */
async function judged<T>(work: (parts: TableParts) => Promise<T>, found: (wrong: Wrong) => T): Promise<T> {
  try {
    return await work(await tables());
  } catch (error) {
    if (error instanceof Contradiction) return found(error.wrong);
    throw error;
  }
}

const itself = (wrong: Wrong): Wrong => wrong;

const api = {
  async chain(head: Head, end: number, witnesses: readonly Witness[]) {
    return checkChain((await parts()).log, head, end, witnesses, STEP_EVENTS);
  },
  /** A step of a share of a partition; its file is closed after the last. */
  async fold(
    share: Share,
    partition: number,
    targets: readonly Target[],
    end: Checkpoint,
  ): Promise<FoldStep> {
    folding ??= await PartitionFold.open({ ...(await parts()), directory, share, partition, targets, end });
    const step = await folding.step(STEP_EVENTS);
    if (step.isDone) {
      await folding.close();
      folding = undefined;
    }
    return step;
  },
  compare: (target: Target, after?: string) =>
    judged<TableStep>(
      (parts) => compareTable(parts, target, after),
      (wrong) => ({ rows: 0, met: [], ahead: [], wrong }),
    ),
  missing: (target: Target, met: readonly number[]) =>
    judged<Wrong | undefined>((parts) => findMissing(parts, target, met), itself),
  unmade: (target: Target) =>
    judged<{ rows: number; wrong?: Wrong }>(
      (parts) => findUnmade(parts, target),
      (wrong) => ({ rows: 0, wrong }),
    ),
  ahead: (target: Target, partition: number, rows: readonly StoredRow[]) =>
    judged<Wrong | undefined>((parts) => judgeAhead(parts, target, partition, rows), itself),
  async close() {
    await folding?.close();
    for (const rows of [...(compared?.fresh ?? []), ...(compared?.counts ?? [])]) await rows.close();
    const { log, stored } = (await opened) ?? {};
    await stored?.close();
    await log?.close();
  },
};

/** What the thread does. */
export type VerifyApi = typeof api;

if (parentPort) serve(parentPort, api);
