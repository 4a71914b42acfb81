import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { holdId } from './vaultStore.js';

/** A value of a vault's row, the same on both engines. */
export type VaultValue = string | number | boolean | null | Uint8Array | readonly string[];
export type VaultRow = Readonly<Record<string, VaultValue>>;

/** `flag` is a boolean, which SQLite stores as 0 or 1; `list` is texts, which it stores as JSON. */
type Kind = 'text' | 'number' | 'bytes' | 'flag' | 'list';

/** A table of the vault in SQLite, and the collection of its name in MongoDB. */
export interface VaultTable {
  readonly name: string;
  /** In the order of the table. */
  readonly columns: Readonly<Record<string, Kind>>;
  /** The columns of the primary key. */
  readonly key: readonly string[];
  /** The column that is a document's `_id`, and is in no other field of it. */
  readonly idColumn?: string;
  /** The `_id` of a document. */
  id(row: VaultRow): string;
}

/** A table whose key is one column, which is the document's `_id`. */
const keyed = (name: string, key: string, columns: VaultTable['columns']): VaultTable => ({
  ...{ name, columns: { [key]: 'text', ...columns }, key: [key], idColumn: key },
  id: (row) => String(row[key]),
});

const joined =
  (...columns: readonly string[]) =>
  (row: VaultRow): string =>
    columns.map((column) => row[column]).join('/');

/**
 * All tables of the vault that `parley move` copies, row by row, with what is sealed as it is. Both engines have the same
 * columns; MongoDB names a row by `_id`. MongoDB's `endedOn` of a session is not copied: it tells other nodes of an end in
 * the last minutes, and none runs during a move.
 */
export const VAULT_TABLES: readonly VaultTable[] = [
  keyed('settled', 'name', { value: 'text' }),
  keyed('keys', 'owner', { version: 'number', own: 'bytes', roots: 'bytes' }),
  {
    name: 'rooms',
    columns: { owner: 'text', roomId: 'text', version: 'number', sealed: 'bytes' },
    ...{ key: ['owner', 'roomId'], id: joined('owner', 'roomId') },
  },
  keyed('numbers', 'name', { value: 'number' }),
  {
    name: 'holds',
    columns: {
      ...{ id: 'text', report: 'text', owner: 'text', roomId: 'text', seq: 'number', partition: 'number' },
      ...{ until: 'number', isDeleted: 'flag' },
    },
    ...{ key: ['id'], idColumn: 'id' },
    id: ({ roomId, seq, report }) =>
      holdId({ roomId: String(roomId), seq: Number(seq), report: String(report) }),
  },
  keyed('claims', 'id', { sealed: 'text', registered: 'flag' }),
  keyed('erasures', 'owner', { claim: 'text', via: 'text' }),
  {
    name: 'signing_keys',
    columns: { number: 'number', sealed: 'text' },
    ...{ key: ['number'], id: joined('number') },
  },
  {
    name: 'heads',
    columns: {
      ...{ partition: 'number', position: 'number', size: 'number' },
      ...{ root: 'text', hash: 'text', note: 'text' },
    },
    ...{ key: ['partition'], id: joined('partition') },
  },
  {
    name: 'given_up_heads',
    columns: {
      ...{ note: 'text', partition: 'number', position: 'number', size: 'number' },
      ...{ root: 'text', hash: 'text' },
    },
    ...{ key: ['note'], id: joined('note') },
  },
  keyed('subscriptions', 'id', { version: 'number', sealed: 'text' }),
  {
    name: 'deliveries',
    columns: { subscription: 'text', partition: 'number', tag: 'text', progress: 'text' },
    ...{ key: ['subscription', 'partition'], id: joined('subscription', 'partition') },
  },
  keyed('server_keys', 'id', {
    ...{ name: 'text', scopes: 'list', hash: 'text', createdAt: 'text', revokedAt: 'text' },
  }),
  keyed('sessions', 'id', {
    ...{ userId: 'text', createdAt: 'text', expiresAt: 'text', endedAt: 'text', issued: 'text' },
  }),
];

/** Tables that are of one file: `uncleared` says that the file still has copies of overwritten keys. */
export const TABLES_OF_THE_FILE: readonly string[] = ['uncleared'];

/** The rows of a vault, without its meaning. No server uses it meanwhile. */
export interface VaultRows {
  count(table: VaultTable): Promise<number>;
  /** The rows behind one, in the order of the engine. At least one, if there is one. */
  page(table: VaultTable, after: VaultRow | undefined): Promise<VaultRow[]>;
  /** The rows with the keys of these, in any order. */
  find(table: VaultTable, rows: readonly VaultRow[]): Promise<VaultRow[]>;
  /** Durable once resolved. */
  insert(table: VaultTable, rows: readonly VaultRow[]): Promise<void>;
  close(): Promise<void>;
}

/** A page ends after this many rows, or bytes. */
export const PAGE = { rows: 1000, bytes: 4 * 1024 * 1024 } as const;

/** The approximate size of a row. */
export const bytesOf = (row: VaultRow): number =>
  Object.values(row).reduce(
    (sum: number, value) =>
      sum + (typeof value === 'string' || value instanceof Uint8Array ? value.length : 8),
    0,
  );

/** A row as text, equal for equal rows. */
export const rowText = ({ columns }: VaultTable, row: VaultRow): string =>
  JSON.stringify(
    Object.keys(columns).map((column) => {
      const value = row[column];
      return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : (value ?? null);
    }),
  );

/** Opens the rows of an embedded vault. Each call blocks the thread. */
export function openFileRows(file: string, { readOnly }: { readonly readOnly: boolean }): VaultRows {
  const db = new DatabaseSync(file, { readOnly, timeout: 10_000 });
  if (!readOnly) db.exec('PRAGMA synchronous = FULL');
  return {
    async count({ name }) {
      const { count } = db.prepare(`SELECT count(*) AS count FROM ${name}`).get() as { count: number }; // As the statement names it.
      return count;
    },
    page: async (table, after) => pageOf(db, table, after),
    async find(table, rows) {
      const where = table.key.map((column) => `"${column}" = ?`).join(' AND ');
      const find = db.prepare(`SELECT * FROM ${table.name} WHERE ${where}`);
      return rows.flatMap((row) => {
        const found = find.get(...keyOf(table, row));
        return found ? [fromColumns(table, found)] : [];
      });
    },
    async insert(table, rows) {
      const names = Object.keys(table.columns);
      const list = names.map((column) => `"${column}"`).join(', ');
      const places = names.map(() => '?').join(', ');
      const insert = db.prepare(`INSERT INTO ${table.name} (${list}) VALUES (${places})`);
      db.exec('BEGIN IMMEDIATE');
      try {
        for (const row of rows) insert.run(...toColumns(table, row));
        db.exec('COMMIT');
      } finally {
        if (db.isTransaction) db.exec('ROLLBACK');
      }
    },
    async close() {
      if (!readOnly) db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      db.close();
    },
  };
}

/** What SQLite takes and gives. */
type Column = string | number | null | Uint8Array;

const keyOf = (table: VaultTable, row: VaultRow): Column[] =>
  table.key.map((column) => toColumn(row[column] ?? null));

const toColumns = ({ columns }: VaultTable, row: VaultRow): Column[] =>
  Object.keys(columns).map((column) => toColumn(row[column] ?? null));

function toColumn(value: VaultValue): Column {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' || typeof value === 'number' || value === null) return value;
  return value instanceof Uint8Array ? value : JSON.stringify(value);
}

function fromColumns({ columns }: VaultTable, found: Readonly<Record<string, Column>>): VaultRow {
  return Object.fromEntries(
    Object.entries(columns).map(([column, kind]): [string, VaultValue] => {
      const value = found[column] ?? null;
      if (kind === 'flag') return [column, value === 1];
      if (kind === 'list') return [column, JSON.parse(String(value)) as string[]]; // `toColumn` has written it.
      return [column, value];
    }),
  );
}

function pageOf(db: DatabaseSyncInstance, table: VaultTable, after: VaultRow | undefined): VaultRow[] {
  const key = table.key.map((column) => `"${column}"`).join(', ');
  const behind = after ? `WHERE (${key}) > (${table.key.map(() => '?').join(', ')})` : '';
  const select = db.prepare(`SELECT * FROM ${table.name} ${behind} ORDER BY ${key} LIMIT ${PAGE.rows}`);
  const rows: VaultRow[] = [];
  let bytes = 0;
  for (const found of select.iterate(...(after ? keyOf(table, after) : []))) {
    const row = fromColumns(table, found);
    rows.push(row);
    bytes += bytesOf(row);
    if (bytes >= PAGE.bytes) break;
  }
  return rows;
}
