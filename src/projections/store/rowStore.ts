/** A row of a read model. `value: null` is a tombstone: the row is gone, and no earlier event brings it back. */
export interface Row<R> {
  readonly key: string;
  readonly partition: number;
  /** The offset of the last event folded in; a smaller one never overwrites a larger one. */
  readonly offset: number;
  readonly value: R | null;
}

/** The place of a row in one index: under each of its terms, ordered by `sort`, then by key. */
export interface IndexEntry {
  readonly terms: readonly string[];
  readonly sort: number;
}

/** A read model's table: its rows are JSON values under a key, its indexes are functions of the row. */
export interface Model<R> {
  readonly name: string;
  /** A new version is built beside the old one, under a table of its own. */
  readonly version: number;
  /** Rows are written once: a second write of a key is ignored without reading the first. */
  readonly insertOnly?: boolean;
  /** Rows take a kilobyte or more: where looking for a key means passing rows, their keys are kept apart. */
  readonly largeRows?: boolean;
  /** Written in the row's own transaction or document; a tombstone has no entries. */
  readonly indexes: Readonly<Record<string, (row: Row<R> & { readonly value: R }) => IndexEntry | undefined>>;
}

// A model is handled without its row type where only keys, offsets and JSON matter.
export type AnyModel = Model<never>;

/** How far a model has folded a partition: the commit's position and the tree size after it. */
export interface Checkpoint {
  readonly position: number;
  /** All events with an offset below this are in the rows. */
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
  /** Rows with any of these terms; at most 256. A row that has several comes once. */
  readonly terms: readonly string[];
  /** Bounds of `sort`, exclusive. */
  readonly above?: number;
  readonly below?: number;
  /** The last row of the page before: goes on strictly behind it in the order asked. */
  readonly from?: { readonly sort: number; readonly key: string };
  /** `sort` ascending, then key; or both descending. With `byKey`, ordered by key alone. */
  readonly reverse?: boolean;
  readonly byKey?: boolean;
  /** In any order, and all rows of the terms: cheaper for terms that hardly two rows share. Without bounds or `from`. */
  readonly unordered?: boolean;
  readonly limit: number;
}

/** Reads of a model; what a write that has resolved wrote, every later read sees. Tombstones are left out but by `get`. */
export interface RowReader {
  get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>>;
  range<R>(model: Model<R>, range: Range): Promise<Row<R>[]>;
  find<R>(model: Model<R>, index: string, find: Find): Promise<Row<R>[]>;
  /** Rows that have a term beginning with `prefix`, each once, by term, then key, from behind `from`. */
  findPrefix<R>(
    model: Model<R>,
    index: string,
    prefix: string,
    limit: number,
    from?: { readonly term: string; readonly key: string },
  ): Promise<{ row: Row<R>; term: string }[]>;
}

export interface RowStore extends RowReader {
  /** Makes the model's table and indexes if absent. */
  prepare(model: AnyModel): Promise<void>;
  /**
   * Rows first, then checkpoints; a smaller offset or checkpoint never wins. Rows that stand ahead of their checkpoint
   * after a crash are harmless: they are folded again. `pause` may be awaited between parts of the work.
   */
  write(writes: readonly ModelWrite[], pause?: () => Promise<void> | undefined): Promise<void>;
  /** `{position: 0, size: 0}` before the first. */
  checkpoint(model: AnyModel, partition: number): Promise<Checkpoint>;
  /** Takes a row out of one index, whatever its offset, and leaves the row. A table or a row that is absent is fine. */
  removeIndexEntries(model: AnyModel, key: string, index: string): Promise<void>;
  /**
   * Resolves when what was replaced or removed is in none of the engine's files any more. What a server keeps of it in
   * its own journals is the server's.
   */
  scrub(): Promise<void>;
  /** Removes the model's rows, indexes and checkpoints, in short steps, beside other work; none is fine too. */
  drop(model: AnyModel): Promise<void>;
  close(): Promise<void>;
}

/** The name of a model's table or collection: one a version, so that versions stand beside each other. */
export const tableOf = (model: Pick<AnyModel, 'name' | 'version'>): string =>
  `${model.name}_v${model.version}`;

/**
 * The same model in a table of its own, into which it is built anew. Generation 0 is the model itself.
 * Everything but the name is the model's, so stores and projectors treat it as any other.
 */
export function generationOf<M extends Pick<AnyModel, 'name' | 'version'>>(model: M, generation: number): M {
  return generation === 0 ? model : { ...model, name: `${model.name}_g${generation}` };
}

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
