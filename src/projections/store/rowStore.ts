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
  /** Rows take 1 KB or more, so that SQLite should keep their keys apart from their values. */
  readonly largeRows?: boolean;
  /**
   * Written in the row's own transaction or document. A tombstone has no entries. Where an index gives no
   * or one term, it must give the same for the row as it is stored.
   */
  readonly indexes: Readonly<Record<string, (row: Row<R> & { readonly value: R }) => IndexEntry | undefined>>;
}

// A model without its row type, for code that needs only keys, offsets and JSON.
export type AnyModel = Model<never>;

/** How far tables have folded a partition: a commit's position, and the tree size after it. */
export interface Checkpoint {
  readonly position: number;
  /** The rows include all events with an offset below this. */
  readonly size: number;
}

/** All these tables have folded the partition up to here. */
export interface StoredCheckpoint extends Checkpoint {
  readonly partition: number;
  /** Their names, in ascending order. */
  readonly tables: readonly string[];
}

/** A row to be written. `isNew`: there is probably none yet, so that an insert is tried first. */
export interface WrittenRow extends Row<unknown> {
  readonly isNew?: boolean;
}

export interface ModelWrite {
  readonly model: AnyModel;
  readonly rows: readonly WrittenRow[];
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

export type FindPlaces = Pick<Find, 'terms' | 'above'>;

/** Reads of a model. They see everything that a resolved write wrote. Only `get` returns tombstones. */
export interface RowReader {
  get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>>;
  range<R>(model: Model<R>, range: Range): Promise<Row<R>[]>;
  find<R>(model: Model<R>, index: string, find: Find): Promise<Row<R>[]>;
  /**
   * The `sort` of all rows with any of these terms, by key; at most 1,000 terms. Reads no rows, so that it costs a
   * fraction of `find`. An index may be wrong: a caller that shows a row must read and check it.
   */
  places<R>(model: Model<R>, index: string, find: FindPlaces): Promise<ReadonlyMap<string, number>>;
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
   * Writes rows and checkpoints; a smaller offset or checkpoint never wins. SQLite takes one transaction.
   * MongoDB writes the checkpoints last, so rows may be ahead of them after a crash. That is harmless,
   * because events are then folded again.
   */
  write(writes: readonly ModelWrite[], checkpoints?: readonly StoredCheckpoint[]): Promise<void>;
  /** The checkpoints of these partitions, of all by default. */
  checkpoints(partitions?: readonly number[]): Promise<StoredCheckpoint[]>;
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
   * Removes the model's rows and indexes in short steps, beside other work, and its name from the
   * checkpoints. A missing table is no error.
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

/** How far all of these tables are folded. A table is as far as the furthest checkpoint that names it. */
export function foldedBy(
  stored: readonly StoredCheckpoint[],
  tables: readonly string[],
  partition: number,
): Checkpoint {
  let least: Checkpoint | undefined;
  for (const table of tables) {
    let { position, size }: Checkpoint = { position: 0, size: 0 };
    for (const one of stored)
      if (one.partition === partition && one.position > position && one.tables.includes(table))
        ({ position, size } = one);
    if (!least || position < least.position) least = { position, size };
  }
  return least ?? { position: 0, size: 0 };
}

/**
 * The checkpoints without a dropped table. Those that say nothing more than another one are left out, so that
 * their number stays small.
 */
export function withoutTable(stored: readonly StoredCheckpoint[], dropped: string): StoredCheckpoint[] {
  const left = stored
    .map((one) => ({ ...one, tables: one.tables.filter((table) => table !== dropped) }))
    .filter(({ tables }) => tables.length > 0);
  return left.filter((one) => !isCovered(one, left));
}

/** A checkpoint that says nothing more than another one. */
export const findCovered = (stored: readonly StoredCheckpoint[]): StoredCheckpoint | undefined =>
  stored.find((one) => isCovered(one, stored));

function isCovered(one: StoredCheckpoint, all: readonly StoredCheckpoint[]): boolean {
  const at = all.indexOf(one);
  return all.some((other, i) => i !== at && covers(other, one) && (i < at || !covers(one, other)));
}

const covers = (a: StoredCheckpoint, b: StoredCheckpoint): boolean =>
  a.partition === b.partition &&
  a.position >= b.position &&
  b.tables.every((table) => a.tables.includes(table));

/** The active table of a model, and the other one that is being built or waits to be dropped. */
export interface Generation {
  readonly active: number;
  /** A number above `active` is being built; one below was active, and some process may still read it. */
  readonly other: number | null;
  /** The other table is built. Every owner of partitions folds both until the switch. */
  readonly isReady?: boolean;
  /** The number of changes to this entry. It is the row's offset, so that an older entry never wins. */
  readonly changes: number;
}

/** Says of each model which table is active. Its keys are the tables of generation 0. */
export const generations: Model<Generation> = { name: 'generations', version: 1, indexes: {} };

type NamedModel = Pick<AnyModel, 'name' | 'version'>;

/**
 * Reads the generations of these models, in their order. A model that was never rebuilt is in generation 0.
 */
export async function readGenerations(
  store: Pick<RowStore, 'prepare' | 'get'>,
  models: readonly NamedModel[],
): Promise<Generation[]> {
  await store.prepare(generations);
  const keys = models.map(tableOf);
  const rows = await store.get(generations, keys);
  return keys.map((key) => rows.get(key)?.value ?? { active: 0, other: null, changes: 0 });
}

/** Reads the generation of one model. */
export async function readGeneration(store: RowStore, model: NamedModel): Promise<Generation> {
  return elementAt(await readGenerations(store, [model]), 0);
}

/** Writes the entry that follows `before`, unless another process has written one already. */
export async function changeGeneration(
  store: RowStore,
  model: NamedModel,
  before: Generation,
  change: Partial<Omit<Generation, 'changes'>>,
): Promise<void> {
  const value: Generation = { ...before, ...change, changes: before.changes + 1 };
  const row = { key: tableOf(model), partition: 0, offset: value.changes, value };
  await store.write([{ model: generations, rows: [row] }]);
}

/**
 * Marks the new table as built. Each process that folds the active table then folds this one too, once it
 * reads the mark.
 */
export async function markReady(store: RowStore, model: NamedModel, built: number): Promise<void> {
  const now = await readGeneration(store, model);
  if (now.other === built && now.active < built) await changeGeneration(store, model, now, { isReady: true });
}

/** Makes the new table the active one. The old one remains until `dropOther`. */
export async function switchGeneration(store: RowStore, model: NamedModel, active: number): Promise<void> {
  const now = await readGeneration(store, model);
  // Another process may have switched already, and may even have begun the next rebuild.
  if (now.other === active && now.active < active)
    await changeGeneration(store, model, now, { active, other: now.active, isReady: false });
}

/** Drops this inactive table of a model, unless the store no longer lists it as the other one. */
export async function dropOther(store: RowStore, model: AnyModel, dropped: number): Promise<void> {
  const now = await readGeneration(store, model);
  if (now.other !== dropped) return;
  await store.drop(generationOf(model, dropped));
  await changeGeneration(store, model, now, { other: null, isReady: false });
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

/** A search by key whose rows are checked: an index entry alone shows nothing. */
interface CheckedFind<R> {
  readonly find: Omit<Find, 'byKey' | 'unordered'>;
  readonly isWanted: (row: Row<R>) => boolean;
}

/**
 * The wanted rows under terms, by key. There are fewer than `limit` only at the end, so that callers can tell the end by
 * the number.
 */
export async function findChecked<R>(
  rows: RowReader,
  model: Model<R>,
  index: string,
  { find, isWanted }: CheckedFind<R>,
): Promise<Row<R>[]> {
  const wanted: Row<R>[] = [];
  for (let { from } = find; ; ) {
    const limit = find.limit - wanted.length;
    const page = await rows.find(model, index, { ...find, byKey: true, limit, ...(from ? { from } : {}) });
    wanted.push(...page.filter(isWanted));
    const last = page.at(-1);
    if (last === undefined || page.length < limit || wanted.length === find.limit) return wanted;
    from = { sort: 0, key: last.key };
  }
}

/** As `findChecked`, in the order of the index. `sortOf` gives the place of a wanted row. */
export async function findCheckedInOrder<R>(
  rows: RowReader,
  model: Model<R>,
  index: string,
  { find, isWanted, sortOf }: CheckedFind<R> & { readonly sortOf: (value: R, key: string) => number },
): Promise<(Row<R> & { readonly value: R })[]> {
  const wanted: (Row<R> & { readonly value: R })[] = [];
  for (let [from, wrong] = [find.from, 0]; ; ) {
    const limit = find.limit - wanted.length + wrong;
    const page = await rows.find(model, index, { ...find, limit, ...(from ? { from } : {}) });
    wrong = 0;
    for (const { value, ...row } of page) {
      const isRight = value !== null && isWanted({ ...row, value });
      wrong = isRight ? 0 : wrong + 1;
      if (isRight) wanted.push({ ...row, value });
    }
    if (page.length < limit || wanted.length >= find.limit) return wanted.slice(0, find.limit);
    // The places of wrong entries are not known: those behind the last wanted row are read once more.
    const last = wanted.at(-1);
    if (last) from = { sort: sortOf(last.value, last.key), key: last.key };
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
