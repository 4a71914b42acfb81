import {
  type AnyModel,
  type Checkpoint,
  type Model,
  type ModelWrite,
  type Row,
  type RowStore,
  tableOf,
} from './rowStore.js';
import { type Entry, indexTable, quoted, SqliteFile, SqliteReads, textReader } from './sqliteReads.js';

/**
 * Settings of `read.db`, which can be rebuilt from the log: a commit survives the process, not always the
 * machine. Erased text must not stay in free pages. Checkpoints are small and often: a large one keeps the disk
 * busy for tens of milliseconds, and the log's appends wait behind it.
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
 * Rows of one transaction. Where there are pauses: about a millisecond of work, after which other threads may have the
 * core. Else more: every transaction writes each page that it has changed.
 */
const SLICE_ROWS = { paused: 64, else: 2048 } as const;

/** How many rows one step of dropping a table removes: a few milliseconds of the file's write lock. */
const DROP_STEP_ROWS = 2_000;

/** KiB of pages that a store keeps at hand. */
const CACHE_KIB = 65_536;

/** The row store of the embedded engine. Its work is synchronous: it belongs in a worker thread. */
export function openSqliteRows(path: string, cache = CACHE_KIB): RowStore {
  const file = new SqliteFile(path, { pragmas: [...PRAGMAS, `cache_size = -${cache}`] });
  file.exec(
    'CREATE TABLE IF NOT EXISTS checkpoints (model TEXT, partition INTEGER, position INTEGER NOT NULL, ' +
      'size INTEGER NOT NULL, PRIMARY KEY (model, partition)) WITHOUT ROWID',
  );
  return {
    ...textReader(new SqliteReads(file)),
    async prepare(model) {
      file.transaction('write', () => createTables(file, model));
    },
    async write(writes, pause) {
      for (const { model, rows } of writes)
        for (const slice of slices(rows, pause ? SLICE_ROWS.paused : SLICE_ROWS.else)) {
          file.transaction('write', () => writeRows(file, model, slice));
          await pause?.();
        }
      file.transaction('write', () => {
        for (const write of writes) writeCheckpoints(file, write);
      });
    },
    checkpoint: async (model, partition) => checkpointIn(file, model, partition),
    async removeIndexEntries(model, key, index) {
      file.transaction('write', () => removeRowEntries(file, model, key, index));
    },
    async scrub() {
      if (!truncateWal(file)) throw new Error('the write-ahead log of the read models is being read');
    },
    drop: (model) => dropTables(file, model),
    async close() {
      truncateWal(file);
      file.close();
    },
  };
}

/** How far the file has a model of a partition. */
export function checkpointIn(file: SqliteFile, model: AnyModel, partition: number): Checkpoint {
  const found = file
    .statement('SELECT position, size FROM checkpoints WHERE model = ? AND partition = ?')
    .get(tableOf(model), partition) as [number, number] | undefined;
  const [position, size] = found ?? [0, 0];
  return { position, size };
}

/**
 * In a table without row ids a look-up compares whole rows, and reads all overflow pages of each that it passes. Short
 * ones are found with a step less there.
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

/** Sorted by key, so that neighbours are written to the same page while it is at hand. */
function slices(rows: readonly Row<unknown>[], size: number): Row<unknown>[][] {
  const sorted = rows.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const count = Math.ceil(sorted.length / size);
  return Array.from({ length: count }, (_, i) => sorted.slice(i * size, (i + 1) * size));
}

function writeRows(file: SqliteFile, model: AnyModel, rows: readonly Row<unknown>[]): void {
  if (model.insertOnly) insertRows(file, model, rows);
  else for (const row of rows) replaceRow(file, model, row);
}

function writeCheckpoints(file: SqliteFile, { model, checkpoints }: ModelWrite): void {
  const advance = file.statement(
    'INSERT INTO checkpoints VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, ' +
      'size = excluded.size WHERE excluded.position > position',
  );
  for (const { partition, at } of checkpoints) advance.run(tableOf(model), partition, at.position, at.size);
}

function insertRows(file: SqliteFile, model: AnyModel, rows: readonly Row<unknown>[]): void {
  const insert = file.statement(`INSERT OR IGNORE INTO ${quoted(tableOf(model))} VALUES (?, ?, ?, ?, ?)`);
  const added: { entry: Entry; key: string }[] = [];
  for (const { key, partition, offset, value } of rows) {
    const entries = entriesOf(model, { key, partition, offset, value });
    // A row that is never replaced need not know its entries, unless a search can meet it twice.
    const kept = hasSeveralTerms(entries) ? JSON.stringify(entries) : null;
    if (insert.run(key, partition, offset, textOf(value), kept).changes === 0) continue;
    for (const entry of entries) added.push({ entry, key });
  }
  added.sort((a, b) => (a.entry[1] < b.entry[1] ? -1 : 1));
  for (const { entry, key } of added) addEntry(file, model, key, entry);
}

/** Writes over a smaller offset only; entries that the old row had and the new one has not are removed. */
function replaceRow(file: SqliteFile, model: AnyModel, row: Row<unknown>): void {
  const { key, partition, offset, value } = row;
  const table = quoted(tableOf(model));
  const old = file.statement(`SELECT offset, entries FROM ${table} WHERE key = ?`).get(key) as
    | [offset: number, entries: string | null]
    | undefined;
  if (old && old[0] >= offset) return;
  const before: Entry[] = old?.[1] ? JSON.parse(old[1]) : [];
  const after = entriesOf(model, row);
  file
    .statement(
      `INSERT INTO ${table} VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET partition = excluded.partition, ` +
        'offset = excluded.offset, value = excluded.value, entries = excluded.entries',
    )
    .run(key, partition, offset, textOf(value), after.length > 0 ? JSON.stringify(after) : null);
  for (const entry of before) if (!includes(after, entry)) removeEntry(file, model, key, entry);
  for (const entry of after) if (!includes(before, entry)) addEntry(file, model, key, entry);
}

const textOf = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

/** Grouped by index. */
function entriesOf(model: AnyModel, row: Row<unknown>): Entry[] {
  if (row.value === null) return [];
  const live = { ...row, value: row.value };
  // A model's rows are of its own type: they come from its projection.
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

function removeRowEntries(file: SqliteFile, model: AnyModel, key: string, index: string): void {
  const table = tableOf(model);
  const known = file.statement("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  if (known.get(table) === undefined) return;
  const found = file.statement(`SELECT entries FROM ${quoted(table)} WHERE key = ?`).get(key) as
    | [entries: string | null]
    | undefined;
  if (!found?.[0]) return;
  const entries: Entry[] = JSON.parse(found[0]);
  const left = entries.filter(([name]) => name !== index);
  file
    .statement(`UPDATE ${quoted(table)} SET entries = ? WHERE key = ?`)
    .run(left.length > 0 ? JSON.stringify(left) : null, key);
  for (const entry of entries) if (entry[0] === index) removeEntry(file, model, key, entry);
}

/** What was erased must not live on in the write-ahead log. False: somebody is reading it. */
function truncateWal(file: SqliteFile): boolean {
  // The pragma's row: whether it was kept from it, and frames before and after.
  const [isBusy] = file.statement('PRAGMA wal_checkpoint(TRUNCATE)').get() as [number, number, number];
  return isBusy === 0;
}

/** In short steps, between which other work of the thread goes on: a large table is not gone at once. */
async function dropTables(file: SqliteFile, model: AnyModel): Promise<void> {
  const table = tableOf(model);
  const names = [quoted(table), ...Object.keys(model.indexes).map((index) => indexTable(table, index))];
  file.transaction('write', () => {
    createTables(file, model);
    file.statement('DELETE FROM checkpoints WHERE model = ?').run(table);
  });
  for (const name of names) {
    const columns = name === quoted(table) ? 'key' : 'term, sort, key';
    const some = `DELETE FROM ${name} WHERE (${columns}) IN (SELECT ${columns} FROM ${name} LIMIT ${DROP_STEP_ROWS})`;
    while (file.transaction('write', () => file.statement(some).run().changes > 0))
      await new Promise((resolve) => setImmediate(resolve));
    file.transaction('write', () => file.change(`DROP TABLE ${name}`));
  }
}
