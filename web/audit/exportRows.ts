import { downloadFile } from '../ui/browser.js';

/** Files of what a view shows, made in this browser: the server is not asked again. */

/** One line of an export: a value by column. */
export type ExportedRow = Readonly<Record<string, unknown>>;

/** A spreadsheet would run a text that begins like this. */
const FORMULA = /^[=+\-@\t\r\n\uFF0B\uFF0D\uFF1D\uFF20]/;
/** Without it, a spreadsheet takes UTF-8 for an older encoding. */
const BYTE_ORDER_MARK = '\uFEFF';

/** One object a line. */
const toJsonLines = (rows: readonly ExportedRow[]): string =>
  rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/**
 * CSV by RFC 4180, with the columns of all rows, and one for each field of an object. Lists are JSON; a text that is a
 * formula begins with an apostrophe.
 */
function toCsv(given: readonly ExportedRow[]): string {
  const rows = given.map(flatten);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  return BYTE_ORDER_MARK + lines.map((line) => `${line.map(toCell).join(',')}\r\n`).join('');
}

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

/** Offers the rows as a file. */
export function downloadRows(name: string, format: Format, rows: readonly ExportedRow[]): void {
  const { type, write } = formats[format];
  downloadFile(`${name}.${format}`, new Blob([write(rows)], { type: `${type};charset=utf-8` }));
}
