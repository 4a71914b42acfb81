import { findLastCommit } from '../../log/checkLog.js';
import type { Commit } from '../../log/log.js';
import { decodeCommit } from '../../projections/commitBuffer.js';
import { collectKeys, foldTouching, type Rows, selectTouching } from '../../projections/projection.js';
import { type AnyModel, foldedBy, tableOf } from '../../projections/store/rowStore.js';
import type { StoredRow } from '../../projections/store/sqliteReads.js';
import type { AuditedLog, StoredRows } from '../storedRows.js';
import { findMissingEntry, withEntries } from './checkTables.js';
import {
  type ComparedModel,
  compareRow,
  isMadeOnce,
  projectionOf,
  rowWithoutEvent,
  storedModel,
} from './comparedModels.js';
import type { Mismatch } from './report.js';

/** Rows of one read. */
const ROWS_PER_READ = 1000;

/** A compared page of a table. `next` is the key where the next page begins; absent at the end. */
export interface TableStep {
  readonly next?: string;
  readonly rows: number;
  /** Rows of the page that the fresh fold has too, by partition. */
  readonly met: readonly number[];
  /** Rows stored at an event beyond the checkpoint. */
  readonly ahead: readonly StoredRow[];
  readonly mismatch?: Mismatch;
}

/** The stores that tables are compared with. */
export interface TableParts {
  readonly log: AuditedLog;
  readonly stored: StoredRows;
  /** The freshly folded rows, by partition. */
  readonly fresh: readonly StoredRows[];
}

/**
 * Compares a page of a table's rows, of all partitions. Leaves rows at events beyond the checkpoint to
 * `checkRowsAhead`, because the system may run meanwhile.
 */
export async function compareTable(
  { stored, fresh }: TableParts,
  comparedModel: ComparedModel,
  after: string | undefined,
): Promise<TableStep> {
  const model = projectionOf(comparedModel).model;
  const table = storedModel(comparedModel);
  const page = await stored.page(table, after, ROWS_PER_READ);
  const met = fresh.map(() => 0);
  const ahead: StoredRow[] = [];
  const step = { rows: page.length, met, ahead };
  // A damaged B-tree can return rows twice, and without end.
  const disorder = page.find(([key], i) => !(key > (page[i - 1]?.[0] ?? after ?? '')));
  if (disorder)
    return {
      ...step,
      mismatch: { what: `the read model ${table.name} cannot be read: its keys are not in order` },
    };
  const made = await freshRows(fresh, model, page);
  for (const row of page) {
    const [key, partition, offset] = row;
    const mine = made.get(`${partition}/${key}`);
    if (mine) met[partition] = (met[partition] ?? 0) + 1;
    const checkpoint = comparedModel.checkpoints[partition];
    if (checkpoint && offset >= checkpoint.size) ahead.push(row);
    else {
      const mismatch = mine ? compareRow(table, row, mine) : rowWithoutEvent(table, row);
      if (mismatch) return { ...step, mismatch };
    }
  }
  const last = page.at(-1);
  return last && page.length === ROWS_PER_READ ? { ...step, next: last[0] } : step;
}

async function freshRows(
  fresh: readonly StoredRows[],
  model: AnyModel,
  page: readonly StoredRow[],
): Promise<Map<string, StoredRow>> {
  const made = new Map<string, StoredRow>();
  for (const [partition, rows] of fresh.entries()) {
    const keys = page.filter((row) => row[1] === partition).map(([key]) => key);
    if (keys.length === 0) continue;
    for (const row of await rows.get(model, keys)) made.set(`${partition}/${row[0]}`, row);
  }
  return made;
}

/**
 * The first fresh row that the table lacks. `met`: the number of fresh rows found in the table, by partition.
 */
export async function findMissing(
  { stored, fresh }: TableParts,
  comparedModel: ComparedModel,
  met: readonly number[],
): Promise<Mismatch | undefined> {
  const { model } = projectionOf(comparedModel);
  const table = storedModel(comparedModel);
  const all = fresh.map(() => Number.MAX_SAFE_INTEGER);
  for (const [partition, rows] of fresh.entries()) {
    if ((await rows.count(model, all))[partition] === met[partition]) continue;
    for (let after: string | undefined; ; ) {
      const page = await rows.page(model, after, ROWS_PER_READ);
      const there = new Set((await stored.get(table, keysIn(page))).map(([key]) => key));
      const missing = page.find(([key]) => !there.has(key));
      if (missing) return compareRow(table, undefined, missing);
      after = page.at(-1)?.[0];
      if (after === undefined) break;
    }
  }
  return undefined;
}

const keysIn = (rows: readonly StoredRow[]): string[] => rows.map(([key]) => key);

/**
 * Compares the rows that later events have changed. The fresh fold has only these rows of a table whose rows
 * one event makes.
 */
export async function compareChanged(
  parts: TableParts,
  comparedModel: ComparedModel,
): Promise<Mismatch | undefined> {
  const { model } = projectionOf(comparedModel);
  const table = storedModel(comparedModel);
  for (const [partition, rows] of parts.fresh.entries()) {
    const end = comparedModel.checkpoints[partition]?.size ?? 0;
    const ahead: StoredRow[] = [];
    for (let after: string | undefined; ; ) {
      const page = await rows.page(model, after, ROWS_PER_READ);
      const found = new Map((await parts.stored.get(table, keysIn(page))).map((row) => [row[0], row]));
      for (const row of page) {
        const there = found.get(row[0]);
        if (there && there[1] === partition && there[2] >= end) ahead.push(there);
        else {
          const mismatch = compareRow(table, there, row);
          if (mismatch) return mismatch;
        }
      }
      after = page.at(-1)?.[0];
      if (after === undefined) break;
    }
    const mismatch = await checkRowsAhead(parts, comparedModel, partition, ahead);
    if (mismatch) return mismatch;
  }
  return undefined;
}

/**
 * Checks the rows of a table whose rows one event makes that are stored at events beyond the checkpoint. They were made
 * while the check runs.
 */
export async function checkMadeAhead(
  parts: TableParts,
  comparedModel: ComparedModel,
): Promise<Mismatch | undefined> {
  const { stored } = parts;
  const table = storedModel(comparedModel);
  for (const [partition, { size }] of comparedModel.checkpoints.entries())
    for (let after: string | undefined; ; ) {
      const page = await stored.pageAhead(table, { partition, offset: size }, after, ROWS_PER_READ);
      const mismatch =
        (await checkRowsAhead(parts, comparedModel, partition, page)) ??
        (await findMissingEntry(stored, table, page.map(withEntries(table))));
      if (mismatch) return mismatch;
      after = page.at(-1)?.[0];
      if (after === undefined || page.length < ROWS_PER_READ) break;
    }
  return undefined;
}

/** The number of rows in each partition that are stored at an event below the checkpoint; last of those in none. */
export const countRows = (stored: StoredRows, comparedModel: ComparedModel): Promise<number[]> =>
  stored.count(
    storedModel(comparedModel),
    comparedModel.checkpoints.map(({ size }) => size),
  );

/** Finds the first row that no event makes. Called when there are more rows than events make. */
export async function findRowWithoutEvent(
  { log, stored }: Pick<TableParts, 'log' | 'stored'>,
  comparedModel: ComparedModel,
): Promise<Mismatch> {
  const { keys } = projectionOf(comparedModel);
  const table = storedModel(comparedModel);
  for (let after: string | undefined; ; ) {
    const page = await stored.page(table, after, ROWS_PER_READ);
    for (const row of page) {
      const [key, partition, offset] = row;
      const checkpoint = comparedModel.checkpoints[partition];
      if (checkpoint && offset >= checkpoint.size) continue;
      const commit = checkpoint && (await commitWith(log, partition, checkpoint.position, offset));
      const event = commit && decodeCommit(commit).events[offset - commit.firstOffset];
      if (!event || !keys(event).includes(key)) return rowWithoutEvent(table, row);
    }
    after = page.at(-1)?.[0];
    // The rows were counted and read at different times, and some have gone in between.
    if (after === undefined)
      return {
        what: `rows of the read model ${table.name} changed while they were checked, although they must not`,
      };
  }
}

/** The commit that holds an event, among the first `last` ones. */
async function commitWith(
  log: AuditedLog,
  partition: number,
  last: number,
  offset: number,
): Promise<Commit | undefined> {
  const between = { partition, after: 0, upTo: last };
  const position = await findLastCommit(log, between, ({ firstOffset }) => firstOffset <= offset);
  const [commit] = position > 0 ? await log.read(partition, position - 1, 1) : [];
  return commit && offset < commit.size ? commit : undefined;
}

/**
 * A row beyond its checkpoint, where rows and checkpoints are written in one transaction: the checkpoint of this moment
 * is not behind a row that was read before.
 */
async function findBeyondCheckpoint(
  { entryTables, checkpoints }: StoredRows,
  table: AnyModel,
  rows: readonly StoredRow[],
): Promise<Mismatch | undefined> {
  if (!entryTables || rows.length === 0) return undefined;
  const now = await checkpoints();
  const beyond = rows.find(
    ([, partition, offset]) => offset >= foldedBy(now, [tableOf(table)], partition).size,
  );
  if (!beyond) return undefined;
  const [key, partition, offset] = beyond;
  const what = `row ${key} of the read model ${table.name} names event ${offset}, beyond its checkpoint`;
  return { what, partition, offset };
}

/** Commits of one read. */
const AHEAD_PAGE = 64;

/**
 * Checks rows of one partition that were stored at events beyond the checkpoint. A row's value at an event
 * depends on the log alone, and writers fold whole commits. So the fold continues from the checkpoint, commit
 * by commit, until it has met each row.
 */
export async function checkRowsAhead(
  { log, stored, fresh }: TableParts,
  comparedModel: ComparedModel,
  partition: number,
  rows: readonly StoredRow[],
): Promise<Mismatch | undefined> {
  const projection = projectionOf(comparedModel);
  const table = storedModel(comparedModel);
  const early = await findBeyondCheckpoint(stored, table, rows);
  if (early) return early;
  const waiting = new Map(rows.map((row) => [row[0], row]));
  const changed: Rows = new Map();
  let position = comparedModel.checkpoints[partition]?.position ?? 0;
  while (waiting.size > 0) {
    const commits = await log.read(partition, position, AHEAD_PAGE);
    if (commits.length === 0) break;
    for (const commit of commits) {
      const { events } = decodeCommit(commit);
      const touching = selectTouching(projection, events).filter(
        // The fresh fold has only some rows of such a table.
        (one) => !isMadeOnce(comparedModel) || one.keys.every((key) => waiting.has(key)),
      );
      const keys = collectKeys(touching);
      await load(keys, changed);
      foldTouching(projection, touching, () => undefined, changed);
      for (const key of keys) {
        const row = waiting.get(key);
        const now = changed.get(key);
        if (!row || !now || now.offset < row[2]) continue;
        const value = now.value === null ? null : JSON.stringify(now.value);
        const mismatch = compareRow(table, row, [key, partition, now.offset, value]);
        if (mismatch) return mismatch;
        waiting.delete(key);
      }
      position = commit.position;
    }
  }
  const [left] = waiting.values();
  return left && rowWithoutEvent(table, left);

  async function load(keys: ReadonlySet<string>, into: Rows): Promise<void> {
    const absent = [...keys].filter((key) => !into.has(key));
    for (const [key, , offset, text] of (await fresh[partition]?.get(projection.model, absent)) ?? [])
      into.set(key, { key, partition, offset, value: text === null ? null : JSON.parse(text) });
  }
}
