import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/workerThreads.js';
import {
  filterRowKey,
  hashInKey,
  IdFilter,
  messageIdFiltersModel,
  messageIdsModel,
  type ReadFilter,
  readFilter,
  SEGMENT_EVENTS,
  type StoredFilter,
} from '../../projections/models/messageIdIndex.js';
import type { Engine } from '../../projections/store/engine.js';
import { foldedBy, type RowStore, tableOf } from '../../projections/store/rowStore.js';
import { SqliteFile, type StoredRow } from '../../projections/store/sqliteReads.js';
import {
  type AuditedLog,
  openAuditedLog,
  openStoredRows,
  reportDamage,
  type StoredRows,
  sqliteRows,
} from '../storedRows.js';
import { compareIndexes } from './checkTables.js';
import { type ComparedModel, storedModel } from './comparedModels.js';
import { type Mismatch, MismatchError } from './report.js';
import {
  checkSection,
  foldSection,
  openScratch,
  type SectionFold,
  type SectionResult,
  type SectionToCheck,
  scratchFile,
} from './verifySection.js';
import {
  checkMadeAhead,
  checkRowsAhead,
  compareChanged,
  compareTable,
  countRows,
  findMissing,
  findRowWithoutEvent,
  type TableParts,
  type TableStep,
} from './verifyTable.js';

/** The data of the thread. */
export interface VerifyThreadData {
  readonly engine: Engine;
  /** The directory of the scratch files. */
  readonly directory: string;
}

// `verifyLog` starts the thread with this data.
const { engine, directory } = workerData as VerifyThreadData;
let opened: Promise<{ log: AuditedLog; stored: StoredRows }> | undefined;
/** The checked section that this thread must fold in its turn. */
let checked: { readonly section: SectionToCheck; readonly fold: SectionFold } | undefined;
/** The scratch file of the last section. The next section is most often of the same partition. */
let folded: { readonly partition: number; readonly scratch: RowStore } | undefined;
let compared: TableParts | undefined;

async function open(): Promise<{ log: AuditedLog; stored: StoredRows }> {
  return { log: await openAuditedLog(engine), stored: reportDamage(await openStoredRows(engine)) };
}

function parts(): Promise<{ log: AuditedLog; stored: StoredRows }> {
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

async function scratchOf({ partition, comparedModels }: SectionToCheck): Promise<RowStore> {
  if (folded?.partition === partition) return folded.scratch;
  await folded?.scratch.close();
  folded = { partition, scratch: await openScratch(directory, partition, comparedModels) };
  return folded.scratch;
}

/** Filters, and rows of the index of ids, of one read. */
const FILTERS_PER_READ = 4;
const IDS_PER_READ = 1000;

/** A stored filter, and a new one with the same key that is filled from the index. */
interface ComparedFilter {
  readonly stored: ReadFilter;
  readonly made: IdFilter;
}

/**
 * Compares the filters of message ids with the index of ids, which must be compared before: each has the ids of its
 * segment and nothing else.
 */
async function findWrongFilter(
  { log, stored }: Pick<TableParts, 'log' | 'stored'>,
  comparedModel: ComparedModel,
): Promise<Mismatch | undefined> {
  if (comparedModel.name !== messageIdsModel.name) return undefined;
  // Before the filters: they are then at least as far.
  const checkpoints = await stored.checkpoints();
  const hasFilters = await stored.hasTable(messageIdFiltersModel);
  const filters: ReadonlyMap<string, ComparedFilter> = hasFilters
    ? await readFilters({ log, stored })
    : new Map();
  for (let partition = 0; partition < log.partitions; partition++) {
    const { size } = foldedBy(checkpoints, [tableOf(messageIdFiltersModel)], partition);
    for (let segment = 0; segment * SEGMENT_EVENTS < size; segment++) {
      const upTo = Math.min(size, (segment + 1) * SEGMENT_EVENTS);
      const key = filterRowKey({ partition, segment });
      if ((filters.get(key)?.stored.upTo ?? -1) < upTo)
        return { what: `the filter ${key} of message ids does not have the ids up to ${upTo}`, partition };
    }
  }
  const segments = Array.from({ length: log.partitions }, (): (ComparedFilter | undefined)[] => []);
  for (const [key, filter] of filters) {
    const [partition = 0, segment = 0] = key.split('/').map(Number);
    const ofPartition = segments[partition];
    if (ofPartition) ofPartition[segment] = filter;
  }
  for (let after: string | undefined; ; ) {
    const page = await stored.pagePlaces(storedModel(comparedModel), after, IDS_PER_READ);
    for (const [key, partition, offset] of page) {
      const filter = segments[partition]?.[Math.floor(offset / SEGMENT_EVENTS)];
      if (filter && offset < filter.stored.upTo) filter.made.add(filter.made.key.digest(hashInKey(key)));
    }
    after = page.at(-1)?.[0];
    if (after === undefined) break;
  }
  for (const [key, { stored: there, made }] of filters)
    if (Buffer.compare(there.filter.bits, made.bits) !== 0)
      return { what: `the filter ${key} of message ids differs from the index of ids` };
  return undefined;
}

/** Reads all filters. Throws a `MismatchError` at a damaged one. */
async function readFilters({
  log,
  stored,
}: Pick<TableParts, 'log' | 'stored'>): Promise<Map<string, ComparedFilter>> {
  const filters = new Map<string, ComparedFilter>();
  for (let after: string | undefined; ; ) {
    const page = await stored.page(messageIdFiltersModel, after, FILTERS_PER_READ);
    for (const [key, partition, offset, text] of page) {
      const place = { logId: log.id, partition, segment: Number(key.slice(key.indexOf('/') + 1)) };
      // Its sum shows whether it is one.
      const value = text === null ? null : (JSON.parse(text) as StoredFilter);
      const found = readFilter(place, { key, partition, offset, value });
      if (!found || filterRowKey(place) !== key)
        throw new MismatchError({ what: `the filter ${key} of message ids is damaged`, partition });
      const made = new IdFilter(found.filter.key, new Uint8Array(found.filter.bits.length));
      filters.set(key, { stored: found, made });
    }
    after = page.at(-1)?.[0];
    if (after === undefined) return filters;
  }
}

/** Runs `work`, and turns a `MismatchError` into a result. */
async function catchMismatch<T>(work: () => Promise<T>, found: (mismatch: Mismatch) => T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MismatchError) return found(error.mismatch);
    throw error;
  }
}

const itself = (mismatch: Mismatch): Mismatch => mismatch;

const api = {
  /** Checks what does not depend on earlier sections. */
  async check(section: SectionToCheck): Promise<SectionResult> {
    const { found, fold } = await checkSection(await parts(), section);
    checked = { section, fold };
    return found;
  },
  /** Folds the section checked last. Called after the section before it was folded, by any thread. */
  async fold(): Promise<Mismatch | undefined> {
    if (!checked) throw new RangeError('nothing was checked');
    const { section, fold } = checked;
    checked = undefined;
    return foldSection(await scratchOf(section), section, (await parts()).log, fold);
  },
  /** Counts the rows of a table whose rows one event makes. */
  count: (comparedModel: ComparedModel) =>
    catchMismatch<number[] | Mismatch>(async () => countRows((await parts()).stored, comparedModel), itself),
  rowWithoutEvent: (comparedModel: ComparedModel) =>
    catchMismatch<Mismatch>(async () => findRowWithoutEvent(await parts(), comparedModel), itself),
  compare: (comparedModel: ComparedModel, after?: string) =>
    catchMismatch<TableStep>(
      async () => compareTable(await tables(), comparedModel, after),
      (mismatch) => ({ rows: 0, met: [], ahead: [], mismatch }),
    ),
  missing: (comparedModel: ComparedModel, met: readonly number[]) =>
    catchMismatch<Mismatch | undefined>(async () => findMissing(await tables(), comparedModel, met), itself),
  changed: (comparedModel: ComparedModel) =>
    catchMismatch<Mismatch | undefined>(
      async () =>
        (await compareChanged(await tables(), comparedModel)) ??
        checkMadeAhead(await tables(), comparedModel),
      itself,
    ),
  /** Compares the indexes of a model, which must not need names. */
  indexes: (comparedModel: ComparedModel) =>
    catchMismatch<Mismatch | undefined>(
      async () =>
        (await compareIndexes((await parts()).stored, comparedModel)) ??
        findWrongFilter(await parts(), comparedModel),
      itself,
    ),
  ahead: (comparedModel: ComparedModel, partition: number, rows: readonly StoredRow[]) =>
    catchMismatch<Mismatch | undefined>(
      async () => checkRowsAhead(await tables(), comparedModel, partition, rows),
      itself,
    ),
  async close() {
    await folded?.scratch.close();
    for (const rows of compared?.fresh ?? []) await rows.close();
    const { log, stored } = (await opened) ?? {};
    await stored?.close();
    await log?.close();
  },
};

/** The functions of the thread. */
export type VerifyApi = typeof api;

if (parentPort) serveThread(parentPort, api);
