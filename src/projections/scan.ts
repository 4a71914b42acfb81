import type { Model, Row, RowReader } from './rows.js';

const PAGE = 256;

/** All rows under a term, by key, in pages of at most 256: whoever reads on holds one page at a time. */
export async function* rowsUnder<R>(
  rows: RowReader,
  model: Model<R>,
  index: string,
  term: string,
): AsyncGenerator<Row<R>[]> {
  let from: { sort: number; key: string } | undefined;
  for (;;) {
    const page = await rows.find(model, index, {
      terms: [term],
      byKey: true,
      limit: PAGE,
      ...(from === undefined ? {} : { from }),
    });
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    // With `byKey` only the key counts.
    from = { sort: 0, key: last.key };
  }
}

/** The values of rows that are not tombstones. */
export function valuesOf<R>(rows: Iterable<Row<R>>): R[] {
  const values: R[] = [];
  for (const { value } of rows) if (value !== null) values.push(value);
  return values;
}

/** The element at a place that must be there: in lists that go side by side. */
export function elementAt<T>(list: readonly T[], at: number): T {
  const element = list[at];
  if (element === undefined) throw new RangeError(`a list of ${list.length} has nothing at ${at}`);
  return element;
}
