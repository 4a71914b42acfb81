import { isDeepStrictEqual } from 'node:util';
import type { AnyProjection, Folded } from '../projections/projection.js';
import type { AnyModel } from '../projections/rows.js';
import type { StoredRow } from '../projections/sqliteReads.js';
import { projectionOf, storedModel, type Target } from './freshModels.js';
import type { StoredRows } from './storedRows.js';
import { Contradiction, type Wrong } from './wrong.js';

/** Whether two values are the same, as JSON text; a database may have put an object's fields in another order. */
function isSameValue(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && isDeepStrictEqual(parsed(a), parsed(b));
}

/** Text that is no JSON is the same as nothing but itself. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return Symbol(text);
  }
}

/** What is wrong with a stored row, if it should be as the fresh one; undefined: nothing. */
export function compareRow(
  model: AnyModel,
  stored: StoredRow | undefined,
  fresh: StoredRow,
): Wrong | undefined {
  const [key, partition, offset, value] = fresh;
  const row = `row ${key} of the read model ${model.name}`;
  const place = { partition, offset };
  if (!stored)
    return { ...place, what: `${row} is missing: event ${offset} of partition ${partition} made it` };
  if (stored[1] !== partition)
    return { ...place, what: `${row} is said to be of partition ${stored[1]}: it is of ${partition}` };
  if (stored[2] !== offset)
    return {
      ...place,
      what: `${row} is of event ${stored[2]} of partition ${partition}: it should be of ${offset}`,
    };
  if (isSameValue(stored[3], value)) return undefined;
  return {
    ...place,
    what: `${row} is not what the events up to ${offset} of partition ${partition} make it`,
  };
}

/** The same of a row that no event of the partition has made. */
export function unmade(model: AnyModel, [key, partition, offset]: StoredRow): Wrong {
  return { partition, offset, what: `row ${key} of the read model ${model.name} comes from no event` };
}

/** Rows are compared so many at once. */
const BATCH = 256;

/**
 * Compares the rows that events made, which are never written again, and answers how many they are. Throws a
 * `Contradiction` at the first that differs.
 */
export async function compareInserted(
  stored: StoredRows,
  target: Target,
  events: readonly Folded[],
): Promise<number> {
  const table = storedModel(target);
  const rows = rowsMade(projectionOf(target), events);
  for (let at = 0; at < rows.length; at += BATCH)
    await compareBatch(stored, table, rows.slice(at, at + BATCH));
  return rows.length;
}

function rowsMade(projection: AnyProjection, events: readonly Folded[]): StoredRow[] {
  const rows: StoredRow[] = [];
  for (const event of events)
    for (const key of projection.keys(event)) {
      const value = projection.evolve(undefined, event, key, () => undefined);
      rows.push([key, event.partition, event.offset, value === null ? null : JSON.stringify(value)]);
    }
  return rows;
}

async function compareBatch(stored: StoredRows, table: AnyModel, rows: readonly StoredRow[]): Promise<void> {
  // Nearly always: to read each as a row of its own takes twice as long.
  if (await stored.has(table, rows)) return;
  const found = await stored.get(
    table,
    rows.map(([key]) => key),
  );
  const byKey = new Map(found.map((row) => [row[0], row]));
  for (const row of rows) {
    const wrong = compareRow(table, byKey.get(row[0]), row);
    if (wrong) throw new Contradiction(wrong);
  }
}
