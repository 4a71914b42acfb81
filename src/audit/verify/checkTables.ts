import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { UserId } from '../../domain/ids.js';
import { createLogFile } from '../../log/logFile.js';
import { newMeta } from '../../log/logMeta.js';
import { messageIdFiltersModel } from '../../projections/models/messageIdIndex.js';
import { type NameOpener, openNamesOf, type UserRow } from '../../projections/models/userNames.js';
import { type Engine, logFileOf, readFileOf } from '../../projections/store/engine.js';
import {
  type AnyModel,
  elementAt,
  findCovered,
  type Generation,
  generationOf,
  generations,
  readGenerations,
  tableOf,
} from '../../projections/store/rowStore.js';
import type { Entry, StoredRow } from '../../projections/store/sqliteReads.js';
import { entriesOf, openSqliteRows } from '../../projections/store/sqliteRows.js';
import { openSqliteVaultStore } from '../../vault/openVault.js';
import {
  type AuditedLog,
  type EntryRow,
  type ExpectedEntry,
  readSchema,
  type StoredRows,
} from '../storedRows.js';
import {
  type ComparedModel,
  comparableModels,
  findSharedId,
  isMadeOnce,
  missingEntry,
  storedModel,
} from './comparedModels.js';
import type { Mismatch } from './report.js';
import { scratch } from './verifyState.js';

/** Rows of one read. */
const ROWS_PER_READ = 1000;

/** Opens the names that the index of users is made of. */
export interface IndexedNames extends NameOpener {
  /** Whether the erasure of this user is in progress: the name may be in the index still. */
  isErasing(userId: UserId): Promise<boolean>;
}

/** A stored row with the entries that it must have; undefined for a tombstone. */
export interface RowWithEntries {
  readonly row: StoredRow;
  readonly entries: readonly Entry[];
}

/** Whether the index entries of a model are made of opened names. */
export const hasNames = ({ name }: Pick<ComparedModel, 'name'>): boolean => name === 'users';

/** Makes the entries of a row, which must not need names. */
export const withEntries =
  (table: AnyModel) =>
  (row: StoredRow): RowWithEntries => ({ row, entries: entriesOf(table, parsed(row)) });

function parsed([key, partition, offset, text]: StoredRow) {
  return { key, partition, offset, value: text === null ? null : JSON.parse(text) };
}

/** Makes the entries of rows. Without names there are none for a model that needs them. */
async function allWithEntries(
  table: AnyModel,
  stored: readonly StoredRow[],
  names: IndexedNames | undefined,
): Promise<RowWithEntries[]> {
  const rows = stored.map(parsed);
  // A table holds rows of its own model.
  const users = rows.flatMap(({ value }) => (value === null ? [] : [value as UserRow]));
  if (names) await openNamesOf(names, users);
  return rows.map((row, i) => ({ row: elementAt(stored, i), entries: entriesOf(table, row) }));
}

/** The mismatch of the first of these rows that its index does not lead to. */
export async function findMissingEntry(
  { entryTables }: StoredRows,
  table: AnyModel,
  rows: readonly RowWithEntries[],
): Promise<Mismatch | undefined> {
  for (const index of Object.keys(table.indexes)) {
    const expected = rows.flatMap(({ row: [key, , offset], entries }) =>
      entries
        .filter(([name]) => name === index)
        .map(([, term, sort]): ExpectedEntry => [term, sort, key, offset]),
    );
    const missing = expected.length > 0 && (await entryTables?.findMissing(table, index, expected));
    if (missing) return missingEntry(table, index, missing);
  }
  return undefined;
}

/**
 * Compares all entries of a model's indexes with its rows, and the rows with what they keep of their entries. Each page
 * is read in one step, so that changes beside the check do no harm.
 */
export async function findWrongEntry(
  stored: StoredRows,
  comparedModel: ComparedModel,
  names?: IndexedNames,
): Promise<Mismatch | undefined> {
  const table = storedModel(comparedModel);
  for (let after: string | undefined; ; ) {
    const page = await stored.pageIndexed(table, after, ROWS_PER_READ);
    const rows = await allWithEntries(
      table,
      page.map(({ row }) => row),
      names,
    );
    for (const [i, { row, entries }] of rows.entries())
      if (!stored.isKept(table, page[i]?.kept ?? null, entries) && !(await isChanging(row, names)))
        return { what: `row ${row[0]} of the read model ${table.name} keeps wrong index entries` };
    const mismatch = await findMissingEntry(stored, table, rows);
    if (mismatch) return mismatch;
    after = page.at(-1)?.row[0];
    if (after === undefined || page.length < ROWS_PER_READ) break;
  }
  for (const index of Object.keys(table.indexes)) {
    const mismatch = await findPlanted(stored, table, index, names);
    if (mismatch) return mismatch;
  }
  return undefined;
}

/** The first entry of an index that its row does not make. */
async function findPlanted(
  { entryTables }: StoredRows,
  table: AnyModel,
  index: string,
  names: IndexedNames | undefined,
): Promise<Mismatch | undefined> {
  for (let after: EntryRow | undefined; entryTables; ) {
    const page = await entryTables.page(table, index, after, ROWS_PER_READ);
    const distinct = new Map(page.flatMap(({ row }) => (row ? [[row[0], row] as const] : [])));
    const rows = await allWithEntries(table, [...distinct.values()], names);
    const entriesByKey = new Map(rows.map(({ row, entries }) => [row[0], entries]));
    for (const { entry, row } of page) {
      const [term, sort, key] = entry;
      const isMade = entriesByKey
        .get(key)
        ?.some((made) => made[0] === index && made[1] === term && made[2] === sort);
      if (isMade || (row && (await isChanging(row, names)))) continue;
      const what = `the index ${index} of the read model ${table.name} leads from ${JSON.stringify(term)} to row ${key}, which is not so`;
      return { what };
    }
    after = page.at(-1)?.entry;
    if (page.length < ROWS_PER_READ) return undefined;
  }
  return undefined;
}

/** Whether an erasure in progress is about to change the entries of this row. */
const isChanging = async ([key]: StoredRow, names: IndexedNames | undefined): Promise<boolean> =>
  names !== undefined && (await names.isErasing(key));

/** Compares the indexes of a model, which must not need names. */
export async function compareIndexes(
  stored: StoredRows,
  comparedModel: ComparedModel,
): Promise<Mismatch | undefined> {
  // Each row was compared with its entries already, so that there are no others if the numbers are equal.
  const isWhole =
    isMadeOnce(comparedModel) && (await stored.entryTables?.areOneEach(storedModel(comparedModel)));
  const wrong = isWhole ? undefined : await findWrongEntry(stored, comparedModel);
  return wrong ?? findSharedId(stored, comparedModel);
}

/** What the tables of a store are compared with. */
export interface TableSource {
  readonly engine: Engine;
  readonly log: AuditedLog;
  readonly stored: StoredRows;
}

/** Reads of tables that change while they are read: a rebuild begins or ends. */
const TRIES = 3;

/**
 * Checks that the store has the tables of this version and nothing else, that its checkpoints are of this log, and that
 * it says of each read model which table is active.
 */
export async function findWrongTables(source: TableSource): Promise<Mismatch | undefined> {
  let found: Mismatch | undefined;
  for (let tried = 0; tried < TRIES; tried++) {
    found = await compareTables(source);
    if (!found) return undefined;
  }
  return found;
}

async function compareTables({ engine, log, stored }: TableSource): Promise<Mismatch | undefined> {
  const { active, others, mismatch } = await readGenerationTables(stored);
  if (mismatch) return mismatch;
  const expected = { partitions: log.partitions, active, others };
  if (engine.kind === 'mongodb') {
    const { findWrongCollection } = await import('../storedDocuments.js');
    const what = await findWrongCollection(engine.url, expected);
    return what === undefined ? compareCheckpoints(log, stored, expected) : { what };
  }
  const made = scratch();
  try {
    return (
      (await findWrongSchema(engine.dataDir, expected, made.directory)) ??
      (await compareCheckpoints(log, stored, expected))
    );
  } finally {
    made.remove();
  }
}

/** The tables that a store must have, and those that it may have while a read model is rebuilt. */
export interface ExpectedTables {
  readonly partitions: number;
  readonly active: readonly AnyModel[];
  readonly others: readonly AnyModel[];
}

/**
 * Compares the tables, views, triggers and indexes of the files of the embedded engine with those that this version makes
 * in new files, in `directory`.
 */
async function findWrongSchema(
  dataDir: string,
  { partitions, active, others }: ExpectedTables,
  directory: string,
): Promise<Mismatch | undefined> {
  const rows = openSqliteRows(readFileOf(directory));
  await readGenerations(rows, []);
  for (const model of [...active, ...others]) await rows.prepare(model);
  await rows.close();
  createLogFile(logFileOf(directory), newMeta(partitions));
  await openSqliteVaultStore(directory).close();
  const mayLack = new Set([...others, generations].map(tableOf));
  for (const made of [logFileOf(directory), readFileOf(directory), join(directory, 'vault.db')]) {
    const there = join(dataDir, basename(made));
    // Without read models the next start folds them.
    if (!existsSync(there)) continue;
    const what = compareSchema(readSchema(there), readSchema(made), mayLack);
    if (what !== undefined) return { what: `${basename(there)} ${what}` };
  }
  return undefined;
}

function compareSchema(
  found: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string>,
  mayLack: ReadonlySet<string>,
): string | undefined {
  for (const [part, sql] of found) {
    const same = expected.get(part);
    if (same === undefined) return `has the ${part}, which this version does not make`;
    if (same !== sql) return `has the ${part} in another form than this version makes it`;
  }
  const isOptional = (part: string): boolean => [...mayLack].some((table) => part.includes(` ${table}`));
  const missing = [...expected.keys()].find((part) => !found.has(part) && !isOptional(part));
  return missing === undefined ? undefined : `lacks the ${missing}`;
}

/** The rows that say which table of each model is active. Nothing but `rowStore.ts` writes them. */
async function readGenerationTables(
  stored: StoredRows,
): Promise<{ active: AnyModel[]; others: AnyModel[]; mismatch?: Mismatch }> {
  const active: AnyModel[] = [];
  const others: AnyModel[] = [];
  const known = new Map(comparableModels().map((model) => [tableOf(model), model]));
  const rows = (await stored.hasTable(generations))
    ? await stored.page(generations, undefined, ROWS_PER_READ)
    : [];
  for (const [key, partition, offset, text] of rows) {
    const model = known.get(key);
    const value = generationIn(text);
    if (!model || !value || partition !== 0 || offset !== value.changes || value.other === value.active)
      return { active, others, mismatch: { what: `the row ${key} of the table generations_v1 is wrong` } };
    known.delete(key);
    active.push(generationOf(model, value.active));
    if (value.other !== null) others.push(generationOf(model, value.other));
  }
  return { active: [...active, ...known.values(), messageIdFiltersModel], others };
}

function generationIn(text: string | null): Generation | undefined {
  // Checked field by field below.
  const value = JSON.parse(text ?? 'null') as Partial<Generation> | null;
  if (!value) return undefined;
  const { active, other, changes, isReady = false } = value;
  const isNumber = (number: unknown): number is number => Number.isSafeInteger(number) && Number(number) >= 0;
  if (!isNumber(active) || !isNumber(changes) || (other !== null && !isNumber(other))) return undefined;
  return { active, other, changes, isReady };
}

/** Checks that checkpoints name tables and commits that exist, and that none says less than another. */
async function compareCheckpoints(
  log: AuditedLog,
  stored: StoredRows,
  { partitions, active, others }: ExpectedTables,
): Promise<Mismatch | undefined> {
  const checkpoints = await stored.checkpoints();
  const known = new Set([...active, ...others].map(tableOf));
  for (const { partition, tables, position, size } of checkpoints) {
    const what = `the checkpoint of ${tables.join(', ')} in partition ${partition}`;
    const isSorted = tables.every((table, i) => known.has(table) && table > (tables[i - 1] ?? ''));
    if (!isSorted || !(partition >= 0 && partition < partitions))
      return { what: `${what} is not one that this version makes` };
    const [commit] = position > 0 ? await log.read(partition, position - 1, 1) : [];
    if (position !== 0 || size !== 0)
      if (commit?.size !== size)
        return {
          what: `${what} counts ${size} events up to position ${position}, which the log does not`,
          partition,
          position,
        };
  }
  // A rebuild leaves such checkpoints until it ends.
  const covered = others.length === 0 ? findCovered(checkpoints) : undefined;
  return (
    covered && {
      what: `there are two checkpoints of ${covered.tables.join(', ')} in partition ${covered.partition}`,
    }
  );
}
