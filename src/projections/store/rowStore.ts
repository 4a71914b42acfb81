/** A row of a read model. `value: null` is a tombstone: the row is gone, and no earlier event restores it. */
export interface Row<R> {
  readonly key: string;
  readonly partition: number;
  /** The offset of the last folded event. A smaller offset never overwrites a larger one. */
  readonly offset: number;
  readonly value: R | null;
}

/** A row's place in one index: under each of its terms, ordered by `sort`, then by key. */
export interface IndexEntry {
  readonly terms: readonly string[];
  readonly sort: number;
}

/** A read model's table. Rows are JSON values under a key; indexes are functions of the row. */
export interface Model<R> {
  readonly name: string;
  /** A new version is built in a table of its own, beside the old one. */
  readonly version: number;
  /** Rows are written once: a second write of a key is ignored, without a read. */
  readonly insertOnly?: boolean;
  /** Rows take 1 KB or more, so that SQLite should keep their keys apart from their values. */
  readonly largeRows?: boolean;
  /** Written in the row's own transaction or document. A tombstone has no entries. */
  readonly indexes: Readonly<Record<string, (row: Row<R> & { readonly value: R }) => IndexEntry | undefined>>;
}

// A model without its row type, for code that needs only keys, offsets and JSON.
export type AnyModel = Model<never>;

/** How far a model has folded a partition: a commit's position, and the tree size after it. */
export interface Checkpoint {
  readonly position: number;
  /** The rows include all events with an offset below this. */
  readonly size: number;
}

/** One partition of one model. */
export interface ModelPartition {
  readonly model: AnyModel;
  readonly partition: number;
}

export interface ModelWrite {
  readonly model: AnyModel;
  readonly rows: readonly Row<unknown>[];
  readonly checkpoints: readonly { readonly partition: number; readonly at: Checkpoint }[];
}

export interface Range {
  /** Key bounds, exclusive. */
  readonly after?: string;
  readonly before?: string;
  readonly reverse?: boolean;
  readonly limit: number;
}

export interface Find {
  /** Finds rows with any of these terms, at most 256. A row with several of them comes once. */
  readonly terms: readonly string[];
  /** Bounds of `sort`, exclusive. */
  readonly above?: number;
  readonly below?: number;
  /** The last row of the previous page; the next page begins strictly behind it in the order asked. */
  readonly from?: { readonly sort: number; readonly key: string };
  /** Orders by `sort`, then key, ascending; `reverse` makes both descending. `byKey` orders by key alone. */
  readonly reverse?: boolean;
  readonly byKey?: boolean;
  /**
   * Returns all rows of the terms in any order, without bounds or `from`. Cheaper when terms share few rows.
   */
  readonly unordered?: boolean;
  readonly limit: number;
}

/** Reads of a model. They see everything that a resolved write wrote. Only `get` returns tombstones. */
export interface RowReader {
  get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>>;
  range<R>(model: Model<R>, range: Range): Promise<Row<R>[]>;
  find<R>(model: Model<R>, index: string, find: Find): Promise<Row<R>[]>;
  /** Rows with a term that begins with `prefix`, each once, by term, then key, behind `from`. */
  findPrefix<R>(
    model: Model<R>,
    index: string,
    prefix: string,
    limit: number,
    from?: { readonly term: string; readonly key: string },
  ): Promise<{ row: Row<R>; term: string }[]>;
}

export interface RowStore extends RowReader {
  /** Creates the model's table and indexes if absent. */
  prepare(model: AnyModel): Promise<void>;
  /**
   * Writes rows, then checkpoints; a smaller offset or checkpoint never wins. After a crash rows may be ahead
   * of their checkpoint. That is harmless, because they are folded again. `pause` may be awaited between
   * parts of the work.
   */
  write(writes: readonly ModelWrite[], pause?: () => Promise<void> | undefined): Promise<void>;
  /** `{position: 0, size: 0}` before the first write. */
  checkpoint(model: AnyModel, partition: number): Promise<Checkpoint>;
  /**
   * Removes a row from one index, whatever its offset, and keeps the row. A missing table or row is no error.
   */
  removeIndexEntries(model: AnyModel, key: string, index: string): Promise<void>;
  /**
   * Resolves when replaced and removed data is in none of the engine's own files. It does not cover the
   * journals of a database server.
   */
  scrub(): Promise<void>;
  /**
   * Removes the model's rows, indexes and checkpoints in short steps, beside other work. A missing table is
   * no error.
   */
  drop(model: AnyModel): Promise<void>;
  close(): Promise<void>;
}

/** The name of a model's table or collection. Each version has its own. */
export const tableOf = (model: Pick<AnyModel, 'name' | 'version'>): string =>
  `${model.name}_v${model.version}`;

/**
 * The model in the table of this generation; generation 0 is the model itself. Only the name differs, so
 * stores and projectors treat it like any other model.
 */
export function generationOf<M extends Pick<AnyModel, 'name' | 'version'>>(model: M, generation: number): M {
  return generation === 0 ? model : { ...model, name: `${model.name}_g${generation}` };
}

const ROWS_PER_READ = 256;

/** All rows under a term, by key, in pages of at most 256. */
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
      limit: ROWS_PER_READ,
      ...(from === undefined ? {} : { from }),
    });
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < ROWS_PER_READ) return;
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

/** The element at an index that must exist, for lists of equal length. */
export function elementAt<T>(list: readonly T[], at: number): T {
  const element = list[at];
  if (element === undefined) throw new RangeError(`a list of length ${list.length} has no element ${at}`);
  return element;
}
