import { isDeepStrictEqual } from 'node:util';
import type { AnyProjection, Folded } from '../projections/projection.js';
import type { AnyModel } from '../projections/rows.js';
import type { StoredRow } from '../projections/sqliteReads.js';
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

/**
 * Compares the rows that events made, which are never written again, and answers how many they are. Throws a
 * `Contradiction` at the first that differs.
 */
export async function compareInserted(
  stored: StoredRows,
  projection: AnyProjection,
  model: AnyModel,
  events: readonly Folded[],
): Promise<number> {
  const fresh: StoredRow[] = [];
  for (const event of events)
    for (const key of projection.keys(event)) {
      const value = projection.evolve(undefined, event, key, () => undefined);
      fresh.push([key, event.partition, event.offset, value === null ? null : JSON.stringify(value)]);
    }
  if (fresh.length === 0) return 0;
  const found = await stored.get(
    model,
    fresh.map(([key]) => key),
  );
  const byKey = new Map(found.map((row) => [row[0], row]));
  for (const row of fresh) {
    const wrong = compareRow(model, byKey.get(row[0]), row);
    if (wrong) throw new Contradiction(wrong);
  }
  return fresh.length;
}
