import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/rpc.js';
import type { Engine } from '../../projections/store/engine.js';
import type { RowStore } from '../../projections/store/rowStore.js';
import { SqliteFile, type StoredRow } from '../../projections/store/sqliteReads.js';
import {
  openSource,
  openStoredRows,
  type SourceLog,
  type StoredRows,
  soundRows,
  sqliteRows,
} from '../storedRows.js';
import type { Target } from './comparedModels.js';
import { Contradiction, type Wrong } from './report.js';
import {
  checkSection,
  type Found,
  foldSection,
  openScratch,
  type SectionEvents,
  type SectionToCheck,
  scratchFile,
} from './verifySection.js';
import {
  compareTable,
  countRows,
  findMissing,
  findUnmade,
  judgeAhead,
  type TableParts,
  type TableStep,
} from './verifyTable.js';

/** What the thread is given. */
export interface VerifyThreadData {
  readonly engine: Engine;
  /** Where partitions are folded anew. */
  readonly directory: string;
}

// The thread is started with these by `verifyLog`.
const { engine, directory } = workerData as VerifyThreadData;
let opened: Promise<{ log: SourceLog; stored: StoredRows }> | undefined;
/** The section that this thread has checked, and is to fold in its turn. */
let checked: { readonly section: SectionToCheck; readonly events: SectionEvents } | undefined;
/** The file that the last section was folded into: the next one is most often of the same partition. */
let folded: { readonly partition: number; readonly scratch: RowStore } | undefined;
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
  if (compared) return compared;
  const fresh = Array.from({ length: log.partitions }, (_, partition) =>
    sqliteRows(new SqliteFile(scratchFile(directory, partition), { readOnly: true, pragmas: [] })),
  );
  compared = { log, stored, fresh };
  return compared;
}

async function scratchOf({ partition, targets }: SectionToCheck): Promise<RowStore> {
  if (folded?.partition === partition) return folded.scratch;
  await folded?.scratch.close();
  folded = { partition, scratch: await openScratch(directory, partition, targets) };
  return folded.scratch;
}

/** What comes of it; for a table that cannot be read, what is made of that finding. */
async function judged<T>(work: () => Promise<T>, found: (wrong: Wrong) => T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Contradiction) return found(error.wrong);
    throw error;
  }
}

const itself = (wrong: Wrong): Wrong => wrong;

const api = {
  /** Checks what needs nothing of the sections before this one. */
  async check(section: SectionToCheck): Promise<Found> {
    const { found, events } = await checkSection(await parts(), section);
    checked = { section, events };
    return found;
  },
  /** Folds what was checked last: called once the section before it is folded, by whichever thread. */
  async fold(): Promise<Wrong | undefined> {
    if (!checked) throw new RangeError('nothing was checked');
    const { section, events } = checked;
    checked = undefined;
    return foldSection(await scratchOf(section), section, (await parts()).log, events);
  },
  /** Of a table whose rows are written once. */
  count: (target: Target) =>
    judged<number[] | Wrong>(async () => countRows((await parts()).stored, target), itself),
  unmade: (target: Target) => judged<Wrong>(async () => findUnmade(await parts(), target), itself),
  compare: (target: Target, after?: string) =>
    judged<TableStep>(
      async () => compareTable(await tables(), target, after),
      (wrong) => ({ rows: 0, met: [], ahead: [], wrong }),
    ),
  missing: (target: Target, met: readonly number[]) =>
    judged<Wrong | undefined>(async () => findMissing(await tables(), target, met), itself),
  ahead: (target: Target, partition: number, rows: readonly StoredRow[]) =>
    judged<Wrong | undefined>(async () => judgeAhead(await tables(), target, partition, rows), itself),
  async close() {
    await folded?.scratch.close();
    for (const rows of compared?.fresh ?? []) await rows.close();
    const { log, stored } = (await opened) ?? {};
    await stored?.close();
    await log?.close();
  },
};

/** What the thread does. */
export type VerifyApi = typeof api;

if (parentPort) serveThread(parentPort, api);
