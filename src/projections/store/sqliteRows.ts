import { existsSync } from 'node:fs';
import { removeCopies } from '../../base/files.js';
import {
  type AnyModel,
  type Model,
  type Row,
  type RowStore,
  type StoredCheckpoint,
  tableOf,
  type WrittenRow,
  withoutTable,
} from './rowStore.js';
import { type Entry, indexTable, quoted, SqliteFile, SqliteReads, textReader } from './sqliteReads.js';

/**
 * Settings of `read.db`, which can be rebuilt from the log. A commit survives the process, but not always the
 * machine. `secure_delete` keeps erased text out of free pages. WAL checkpoints are small and frequent. A
 * large one keeps the disk busy for tens of milliseconds, and delays the log's appends.
 */
const PRAGMAS = [
  'page_size = 4096',
  'journal_mode = WAL',
  'synchronous = NORMAL',
  'secure_delete = ON',
  'wal_autocheckpoint = 1000',
  'journal_size_limit = 67108864',
];

/**
 * Rows that one step of dropping a table removes. A step holds the file's write lock for a few milliseconds.
 */
const DROP_STEP_ROWS = 2_000;

/** KiB of the page cache. */
const CACHE_KIB = 65_536;

/** Opens the row store of the embedded engine. Its work is synchronous, so use it in a worker thread. */
export function openSqliteRows(path: string, cache = CACHE_KIB): RowStore {
  // Before the file is made: a new one holds nothing of an earlier process.
  const removed = new RemovedTerms(path);
  const file = new SqliteFile(path, { pragmas: [...PRAGMAS, `cache_size = -${cache}`] });
  file.exec(
    'CREATE TABLE IF NOT EXISTS checkpoints (partition INTEGER, tables TEXT, position INTEGER NOT NULL, ' +
      'size INTEGER NOT NULL, PRIMARY KEY (partition, tables)) WITHOUT ROWID',
  );
  return {
    ...textReader(new SqliteReads(file)),
    async prepare(model) {
      file.transaction('write', () => createTables(file, model));
    },
    // One transaction, because each writes every page that it has changed.
    async write(writes, checkpoints = []) {
      file.transaction('write', () => {
        for (const { model, rows } of writes) writeRows(file, model, byKey(rows), removed);
        for (const checkpoint of checkpoints) writeCheckpoint(file, checkpoint);
      });
    },
    checkpoints: async (partitions) => checkpointsIn(file, partitions),
    async removeIndexEntries(model, key, index) {
      file.transaction('write', () => removeRowEntries(file, { model, key, index }, removed));
    },
    async scrub() {
      const scrubbed = { path, emptyWal: () => emptyWal(file), rewrite: () => file.exec('VACUUM') };
      removeCopies(scrubbed, removed.known);
      removed.clear();
    },
    drop: (model) => dropTables(file, model),
    async close() {
      truncateWal(file);
      file.close();
    },
  };
}

/** The file's checkpoints of these partitions, of all by default. */
export function checkpointsIn(file: SqliteFile, partitions?: readonly number[]): StoredCheckpoint[] {
  const found = file.statement('SELECT partition, tables, position, size FROM checkpoints').all() as [
    number,
    string,
    number,
    number,
  ][];
  return found
    .map(([partition, tables, position, size]) => ({ partition, tables: tables.split(' '), position, size }))
    .filter(({ partition }) => partitions?.includes(partition) ?? true);
}

/**
 * Creates the tables. Without row ids a look-up reads whole rows on its way, with their overflow pages. So
 * only models of short rows have such tables, which save one step.
 */
function createTables(file: SqliteFile, model: AnyModel): void {
  const table = tableOf(model);
  file.exec(
    `CREATE TABLE IF NOT EXISTS ${quoted(table)} (key TEXT PRIMARY KEY, partition INTEGER NOT NULL, ` +
      `offset INTEGER NOT NULL, value TEXT, entries TEXT)${model.largeRows ? '' : ' WITHOUT ROWID'}`,
  );
  for (const index of Object.keys(model.indexes))
    file.exec(
      `CREATE TABLE IF NOT EXISTS ${indexTable(table, index)} (term TEXT, sort INTEGER, key TEXT, ` +
        'PRIMARY KEY (term, sort, key)) WITHOUT ROWID',
    );
}

/** Sorts by key, so that neighbours change the same cached page. */
const byKey = (rows: readonly WrittenRow[]): WrittenRow[] =>
  rows.toSorted((a, b) => (a.key < b.key ? -1 : 1));

function writeRows(
  file: SqliteFile,
  model: AnyModel,
  rows: readonly WrittenRow[],
  removed: RemovedTerms,
): void {
  if (Object.keys(model.indexes).length === 0) return writePlainRows(file, model, rows);
  const added: { entry: Entry; key: string }[] = [];
  for (const row of rows) {
    const entries = row.isNew ? insertRow(file, model, row) : undefined;
    if (!entries) replaceRow(file, model, row, removed);
    else for (const entry of entries) added.push({ entry, key: row.key });
  }
  added.sort((a, b) => (a.entry[1] < b.entry[1] ? -1 : 1));
  for (const { entry, key } of added) addEntry(file, model, key, entry);
}

/** New rows of one statement: a call of SQLite takes longer than the insertion of a row. */
const INSERTED_ROWS = 32;

/** Writes rows of a model without indexes. */
function writePlainRows(file: SqliteFile, model: AnyModel, rows: readonly WrittenRow[]): void {
  const table = quoted(tableOf(model));
  const row = '(?, ?, ?, ?, NULL)';
  const some = `INSERT OR IGNORE INTO ${table} VALUES ${Array(INSERTED_ROWS).fill(row).join(', ')}`;
  const one =
    `INSERT INTO ${table} VALUES ${row} ON CONFLICT DO UPDATE SET partition = excluded.partition, ` +
    'offset = excluded.offset, value = excluded.value WHERE excluded.offset > offset';
  const [insert, put] = [file.statement(some), file.statement(one)];
  const made = rows.filter(({ isNew }) => isNew);
  const single = rows.filter(({ isNew }) => !isNew);
  for (let at = 0; at < made.length; at += INSERTED_ROWS) {
    const next = made.slice(at, at + INSERTED_ROWS);
    const isWhole = next.length === INSERTED_ROWS;
    // A row that was there already may be older. Those that were inserted just now are not replaced.
    if (!isWhole || insert.run(...next.flatMap(columnsOf)).changes < INSERTED_ROWS) single.push(...next);
  }
  for (const next of single) put.run(...columnsOf(next));
}

const columnsOf = ({ key, partition, offset, value }: WrittenRow) =>
  [key, partition, offset, textOf(value)] as const;

function writeCheckpoint(file: SqliteFile, { partition, tables, position, size }: StoredCheckpoint): void {
  file
    .statement(
      'INSERT INTO checkpoints VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, ' +
        'size = excluded.size WHERE excluded.position > position',
    )
    .run(partition, tables.join(' '), position, size);
}

/** Inserts a row, and returns its index entries; undefined if there is a row already. */
function insertRow(file: SqliteFile, model: AnyModel, row: Row<unknown>): Entry[] | undefined {
  const { key, partition, offset, value } = row;
  const insert = file.statement(`INSERT OR IGNORE INTO ${quoted(tableOf(model))} VALUES (?, ?, ?, ?, ?)`);
  const entries = entriesOf(model, row);
  const { changes } = insert.run(key, partition, offset, textOf(value), keptText(model, entries));
  return changes === 0 ? undefined : entries;
}

/** Writes over a smaller offset only, and removes entries that the new row lacks. */
function replaceRow(file: SqliteFile, model: AnyModel, row: Row<unknown>, removed: RemovedTerms): void {
  const { key, partition, offset, value } = row;
  const table = quoted(tableOf(model));
  const old = file.statement(`SELECT offset, entries FROM ${table} WHERE key = ?`).get(key) as
    | [offset: number, entries: string | null]
    | undefined;
  if (old && old[0] >= offset) return;
  const before = old ? entriesBefore(file, model, key, old[1]) : [];
  const after = entriesOf(model, row);
  file
    .statement(
      `INSERT INTO ${table} VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET partition = excluded.partition, ` +
        'offset = excluded.offset, value = excluded.value, entries = excluded.entries',
    )
    .run(key, partition, offset, textOf(value), keptText(model, after));
  for (const entry of before) if (!includes(after, entry)) removeEntry(file, model, key, entry);
  removed.note(before, after);
  for (const entry of after) if (!includes(before, entry)) addEntry(file, model, key, entry);
}

/**
 * The entries as a row keeps them. With one term an index they follow from the row, which then keeps none:
 * nearly all rows are such. No entry at all is kept as that, because terms may have been removed.
 */
export const keptText = ({ indexes }: AnyModel, entries: readonly Entry[]): string | null => {
  const follow = entries.length > 0 ? !hasSeveralTerms(entries) : Object.keys(indexes).length === 0;
  return follow ? null : JSON.stringify(entries);
};

/** The entries of a stored row; `kept` is what it keeps of them. */
function entriesBefore(file: SqliteFile, model: AnyModel, key: string, kept: string | null): Entry[] {
  if (kept !== null) return JSON.parse(kept);
  if (Object.keys(model.indexes).length === 0) return [];
  const stored = file
    .statement(`SELECT partition, offset, value FROM ${quoted(tableOf(model))} WHERE key = ?`)
    .get(key) as [partition: number, offset: number, value: string | null] | undefined;
  if (!stored) return [];
  const [partition, offset, value] = stored;
  return entriesOf(model, { key, partition, offset, value: value === null ? null : JSON.parse(value) });
}

const textOf = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

/** The index entries of a row, grouped by index. */
export function entriesOf(model: AnyModel, row: Row<unknown>): Entry[] {
  if (row.value === null) return [];
  const live = { ...row, value: row.value };
  // A model's rows come from its projection, so they have its type.
  return Object.entries((model as Model<unknown>).indexes).flatMap(([index, placeOf]) => {
    const place = placeOf(live);
    return place ? place.terms.map((term): Entry => [index, term, place.sort]) : [];
  });
}

const hasSeveralTerms = (entries: readonly Entry[]): boolean =>
  entries.some(([index], i) => entries[i + 1]?.[0] === index);

const includes = (entries: readonly Entry[], [index, term, sort]: Entry): boolean =>
  entries.some((entry) => entry[0] === index && entry[1] === term && entry[2] === sort);

function addEntry(file: SqliteFile, model: AnyModel, key: string, [index, term, sort]: Entry): void {
  file
    .statement(`INSERT OR IGNORE INTO ${indexTable(tableOf(model), index)} VALUES (?, ?, ?)`)
    .run(term, sort, key);
}

function removeEntry(file: SqliteFile, model: AnyModel, key: string, [index, term, sort]: Entry): void {
  file
    .statement(`DELETE FROM ${indexTable(tableOf(model), index)} WHERE term = ? AND sort = ? AND key = ?`)
    .run(term, sort, key);
}

function removeRowEntries(
  file: SqliteFile,
  { model, key, index }: { readonly model: AnyModel; readonly key: string; readonly index: string },
  removed: RemovedTerms,
): void {
  const table = tableOf(model);
  const known = file.statement("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  if (known.get(table) === undefined) return;
  const found = file.statement(`SELECT entries FROM ${quoted(table)} WHERE key = ?`).get(key) as
    | [entries: string | null]
    | undefined;
  if (!found) return;
  const entries = entriesBefore(file, model, key, found[0]);
  const left = entries.filter(([name]) => name !== index);
  file.statement(`UPDATE ${quoted(table)} SET entries = ? WHERE key = ?`).run(JSON.stringify(left), key);
  for (const entry of entries) if (entry[0] === index) removeEntry(file, model, key, entry);
  removed.note(entries, left);
}

/** More removed terms than this are not remembered: the file is then rewritten. */
const MAX_REMOVED_TERMS = 10_000;

/** The terms of rows that have left an index, as long as the file may hold copies of them: see `removeCopies`. */
class RemovedTerms {
  readonly #terms = new Set<string>();
  /** An earlier process may have removed terms that are not known here. */
  #hasUnknown: boolean;

  constructor(path: string) {
    this.#hasUnknown = existsSync(path);
  }

  /** Remembers the two longest terms of each index that the row has left: the others are parts of these. */
  note(before: readonly Entry[], after: readonly Entry[]): void {
    const left = before.filter(([index]) => !after.some((entry) => entry[0] === index));
    if (left.length === 0) return;
    const terms = left.map(([, term]) => term).sort((a, b) => b.length - a.length);
    for (const term of terms.slice(0, 2)) this.#terms.add(term);
    if (this.#terms.size > MAX_REMOVED_TERMS) this.#hasUnknown = true;
  }

  /** Undefined where the file may hold terms that are not known here. */
  get known(): readonly string[] | undefined {
    return this.#hasUnknown ? undefined : [...this.#terms];
  }

  /** None of them is in the file any more. */
  clear(): void {
    this.#terms.clear();
    this.#hasUnknown = false;
  }
}

/** Throws when a reader prevents it. */
function emptyWal(file: SqliteFile): void {
  if (!truncateWal(file))
    throw new Error('a reader holds the write-ahead log of the read models; try again later');
}

/** Empties the write-ahead log, which could hold erased text. False if a reader prevents it. */
function truncateWal(file: SqliteFile): boolean {
  // The pragma returns: busy, frames in the log, frames checkpointed.
  const [isBusy] = file.statement('PRAGMA wal_checkpoint(TRUNCATE)').get() as [number, number, number];
  return isBusy === 0;
}

/** Drops the tables in short steps, so that the thread's other work goes on. */
async function dropTables(file: SqliteFile, model: AnyModel): Promise<void> {
  const table = tableOf(model);
  const names = [quoted(table), ...Object.keys(model.indexes).map((index) => indexTable(table, index))];
  file.transaction('write', () => {
    createTables(file, model);
    const left = withoutTable(checkpointsIn(file), table);
    file.exec('DELETE FROM checkpoints');
    for (const checkpoint of left) writeCheckpoint(file, checkpoint);
  });
  for (const name of names) {
    const columns = name === quoted(table) ? 'key' : 'term, sort, key';
    const some = `DELETE FROM ${name} WHERE (${columns}) IN (SELECT ${columns} FROM ${name} LIMIT ${DROP_STEP_ROWS})`;
    while (file.transaction('write', () => file.statement(some).run().changes > 0))
      await new Promise((resolve) => setImmediate(resolve));
    file.transaction('write', () => file.change(`DROP TABLE ${name}`));
  }
}
