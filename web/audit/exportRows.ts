import { downloadFile } from '../ui/browser.js';

/** Files of what a view shows, made in this browser: the server is not asked again. */

/** One line of an export: a value by column. */
export type ExportedRow = Readonly<Record<string, unknown>>;

/** A spreadsheet would run a text that begins like this. */
const FORMULA = /^[=+\-@\t\r\n\uFF0B\uFF0D\uFF1D\uFF20]/;
/** Without it, a spreadsheet takes UTF-8 for an older encoding. */
const BYTE_ORDER_MARK = '\uFEFF';
/** Some file systems refuse longer names. */
const MAX_PART_CHARS = 60;

/** A row with what a reader looks for first: when, who, where and what was said. */
export interface NamedRow {
  readonly time: string;
  readonly name: string;
  readonly room: string;
  readonly text: string;
  /** All fields, with their ids. */
  readonly row: ExportedRow;
}

/** One object a line: the row as the server answers it, with the names beside its ids. */
const toJsonLines = (rows: readonly NamedRow[]): string =>
  rows
    .map(({ row, name, room }) => {
      const names = { ...(name === '' ? {} : { name }), ...(room === '' ? {} : { room }) };
      return `${JSON.stringify({ ...row, names })}\n`;
    })
    .join('');

/**
 * CSV by RFC 4180: first the time, the name, the room and the text, then a column for each field, also of an object. A
 * column that is empty in all rows, or says again what one of the first says, is left out. Lists are JSON; a text that
 * is a formula begins with an apostrophe.
 */
function toCsv(given: readonly NamedRow[]): string {
  const rows = given.map(
    ({ row, ...first }): ExportedRow => ({ ...first, ...prefixed(flatten(row), first) }),
  );
  const columns = [...new Set([...FIRST, ...rows.flatMap((row) => Object.keys(row))])].filter((column) =>
    rows.some((row) => toCell(row[column]) !== ''),
  );
  const repeats = (column: string): boolean =>
    !FIRST.has(column) &&
    [...FIRST].some((lead) => rows.every((row) => toCell(row[column]) === '' || row[column] === row[lead]));
  const shown = columns.filter((column) => !repeats(column));
  const lines = [shown, ...rows.map((row) => shown.map((column) => row[column]))];
  return BYTE_ORDER_MARK + lines.map((line) => `${line.map(toCell).join(',')}\r\n`).join('');
}

/** The columns that come first. */
const FIRST: ReadonlySet<string> = new Set(['time', 'name', 'room', 'text']);

/** A field that is called like a first column gets a name of its own: `row.name`. */
const prefixed = (row: ExportedRow, first: object): ExportedRow =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name in first ? `row.${name}` : name, value]),
  );

/** The fields of an object in a row become columns of their own: `data.text`. */
function flatten(row: ExportedRow): ExportedRow {
  const columns = Object.entries(row).flatMap(([name, value]): readonly (readonly [string, unknown])[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([field, inner]) => [`${name}.${field}`, inner])
      : [[name, value]],
  );
  return Object.fromEntries(columns);
}

function toCell(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const safe = typeof value === 'string' && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The formats by the ending of their files. */
export const formats = {
  jsonl: { title: 'JSON lines', type: 'application/x-ndjson', write: toJsonLines },
  csv: { title: 'CSV', type: 'text/csv', write: toCsv },
} as const;
export type Format = keyof typeof formats;

/** The name of a file, from what it has and the times of its first and its last row. */
export function fileName(parts: readonly string[], rows: readonly NamedRow[]): string {
  const times = rows.map(({ time }) => time).sort();
  const [from, to] = [times[0], times.at(-1)];
  return [...parts, from ?? '', to === from ? '' : (to ?? '')]
    .map((part) =>
      part
        .replace(/\.\d+Z$/, 'Z')
        .replaceAll(':', '')
        .replace(/[^\p{L}\p{M}\p{N}_-]+/gu, '-'),
    )
    .map((part) => part.replace(/^-+|-+$/g, '').slice(0, MAX_PART_CHARS))
    .filter((part) => part !== '')
    .join('-');
}

/** Offers the rows as a file. */
export function downloadRows(name: string, format: Format, rows: readonly NamedRow[]): void {
  const { type, write } = formats[format];
  downloadFile(`${name}.${format}`, new Blob([write(rows)], { type: `${type};charset=utf-8` }));
}
