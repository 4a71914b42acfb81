import {
  type AnyModel,
  type Find,
  type FindPlaces,
  type IndexEntry,
  type Model,
  type ModelWrite,
  type Range,
  type Row,
  type RowStore,
  type StoredCheckpoint,
  withoutTable,
} from '../../src/projections/store/rowStore.js';

const MAX_TERMS = 256;

/** What is stored: the row as JSON, its index entries as computed from the very object that was written. */
interface Stored {
  readonly key: string;
  readonly offset: number;
  readonly isTombstone: boolean;
  readonly json: string;
  readonly entries: ReadonlyMap<string, IndexEntry>;
}

interface Hit {
  readonly row: Stored;
  readonly sort: number;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A row store in memory: the port's promises and nothing else, so that tests of models need no engine. */
export class MemoryRows implements RowStore {
  readonly #tables = new Map<string, Map<string, Stored>>();
  #checkpoints = new Map<string, StoredCheckpoint>();

  async prepare(model: AnyModel): Promise<void> {
    this.#table(model);
  }

  async write(writes: readonly ModelWrite[], checkpoints: readonly StoredCheckpoint[] = []): Promise<void> {
    for (const { model, rows } of writes) {
      const table = this.#table(model);
      for (const row of rows) {
        const before = table.get(row.key);
        if (before && before.offset >= row.offset) continue;
        const { isNew: _, ...plain } = row;
        table.set(row.key, stored(model, plain));
      }
    }
    for (const checkpoint of checkpoints) {
      const name = `${checkpoint.partition} ${checkpoint.tables.join(' ')}`;
      if (checkpoint.position > (this.#checkpoints.get(name)?.position ?? 0))
        this.#checkpoints.set(name, checkpoint);
    }
  }

  async checkpoints(partitions?: readonly number[]): Promise<StoredCheckpoint[]> {
    return [...this.#checkpoints.values()].filter(({ partition }) => partitions?.includes(partition) ?? true);
  }

  async get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>> {
    const table = this.#table(model);
    const found = new Map<string, Row<R>>();
    for (const key of keys) {
      const row = table.get(key);
      if (row) found.set(key, parsed(row));
    }
    return found;
  }

  async range<R>(model: Model<R>, { after, before, reverse, limit }: Range): Promise<Row<R>[]> {
    const rows = this.#live(model)
      .filter(({ key }) => (after === undefined || key > after) && (before === undefined || key < before))
      .sort((a, b) => compare(a.key, b.key));
    return (reverse ? rows.reverse() : rows).slice(0, limit).map((row) => parsed(row));
  }

  async find<R>(model: Model<R>, index: string, find: Find): Promise<Row<R>[]> {
    if (find.terms.length > MAX_TERMS) throw new RangeError(`${find.terms.length} terms are too many`);
    const { terms, above = -Infinity, below = Infinity, from, reverse, byKey, limit } = find;
    const order = (a: { sort: number; key: string }, b: { sort: number; key: string }) =>
      ((byKey ? 0 : a.sort - b.sort) || compare(a.key, b.key)) * (reverse ? -1 : 1);
    const hits: Hit[] = [];
    for (const row of this.#live(model)) {
      const entry = row.entries.get(index);
      if (!entry?.terms.some((term) => terms.includes(term))) continue;
      if (entry.sort > above && entry.sort < below) hits.push({ row, sort: entry.sort });
    }
    return hits
      .map(({ row, sort }) => ({ row, sort, key: row.key }))
      .filter((hit) => from === undefined || order(hit, from) > 0)
      .sort(order)
      .slice(0, limit)
      .map(({ row }) => parsed(row));
  }

  async places<R>(
    model: Model<R>,
    index: string,
    { terms, above = -Infinity }: FindPlaces,
  ): Promise<ReadonlyMap<string, number>> {
    const places = new Map<string, number>();
    for (const { key, entries } of this.#live(model)) {
      const entry = entries.get(index);
      const isFound = entry?.terms.some((term) => terms.includes(term));
      if (entry && isFound && entry.sort > above) places.set(key, entry.sort);
    }
    return places;
  }

  async findPrefix<R>(
    model: Model<R>,
    index: string,
    prefix: string,
    limit: number,
    from?: { readonly term: string; readonly key: string },
  ): Promise<{ row: Row<R>; term: string }[]> {
    const hits: { row: Stored; term: string }[] = [];
    for (const row of this.#live(model)) {
      const terms = row.entries.get(index)?.terms.filter((term) => term.startsWith(prefix)) ?? [];
      const term = terms.sort(compare)[0];
      if (term !== undefined) hits.push({ row, term });
    }
    return hits
      .sort((a, b) => compare(a.term, b.term) || compare(a.row.key, b.row.key))
      .filter(({ row, term }) => !from || (compare(term, from.term) || compare(row.key, from.key)) > 0)
      .slice(0, limit)
      .map(({ row, term }) => ({ row: parsed(row), term }));
  }

  async removeIndexEntries(model: AnyModel, key: string, index: string): Promise<void> {
    const row = this.#tables.get(tableName(model))?.get(key);
    if (!row) return;
    const entries = new Map([...row.entries].filter(([name]) => name !== index));
    this.#table(model).set(key, { ...row, entries });
  }

  async scrub(): Promise<void> {}

  async drop(model: AnyModel): Promise<void> {
    this.#tables.delete(tableName(model));
    const left = withoutTable([...this.#checkpoints.values()], tableName(model));
    this.#checkpoints = new Map();
    await this.write([], left);
  }

  async close(): Promise<void> {
    this.#tables.clear();
  }

  #table(model: { readonly name: string; readonly version: number }): Map<string, Stored> {
    const name = tableName(model);
    const table = this.#tables.get(name) ?? new Map<string, Stored>();
    this.#tables.set(name, table);
    return table;
  }

  #live(model: { readonly name: string; readonly version: number }): Stored[] {
    return [...this.#table(model).values()].filter((row) => !row.isTombstone);
  }
}

function tableName({ name, version }: { readonly name: string; readonly version: number }): string {
  return `${name}_v${version}`;
}

function stored(model: AnyModel, row: Row<unknown>): Stored {
  const entries = new Map<string, IndexEntry>();
  if (row.value !== null) {
    for (const [name, entryOf] of Object.entries(model.indexes)) {
      // A model's rows are what its own indexes take.
      const entry = entryOf(row as Parameters<typeof entryOf>[0]);
      if (entry) entries.set(name, { terms: [...entry.terms], sort: entry.sort });
    }
  }
  const { key, offset } = row;
  return { key, offset, isTombstone: row.value === null, json: JSON.stringify(row), entries };
}

function parsed<R>({ json }: Stored): Row<R> {
  // Stored by a write of the same model.
  return JSON.parse(json) as Row<R>;
}
