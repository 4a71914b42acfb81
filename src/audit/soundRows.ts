import type { AnyModel } from '../projections/rows.js';
import type { StoredRows } from './storedRows.js';
import { Contradiction, damageOf } from './wrong.js';

/**
 * The same rows, of which damage is a finding: where a table cannot be read, these throw a `Contradiction` that names
 * its read model. An outage is thrown as it is.
 */
export function soundRows(rows: StoredRows): StoredRows {
  async function sound<T>({ name }: AnyModel, read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      throw new Contradiction(damageOf(error, `the read model ${name}`));
    }
  }
  return {
    hasTable: (model) => sound(model, rows.hasTable(model)),
    get: (model, keys) => sound(model, rows.get(model, keys)),
    has: (model, asked) => sound(model, rows.has(model, asked)),
    page: (model, after, limit) => sound(model, rows.page(model, after, limit)),
    count: (model, below) => sound(model, rows.count(model, below)),
    checkpoint: (model, partition) => sound(model, rows.checkpoint(model, partition)),
    close: () => rows.close(),
  };
}
